// Package podlogs reads the log files of containers and keeps them in bounds.
package podlogs
