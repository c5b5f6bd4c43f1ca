// Package harness runs real cox instances for tests.
//
// Each instance has its own network namespace, data directory and containerd,
// so tests run side by side. A watchdog process cleans an instance up when the
// test ends, also when the test is killed; what a killed watchdog left behind
// is found and removed by the next run.
//
// A package that uses it calls Main from its TestMain.
package harness
