// Package lifecycle tries what happens around the life of the cox process:
// it is killed in the middle of an update, stopped and started again, started
// twice, and started where it cannot work.
package lifecycle
