package cri

import (
	"cmp"
	"log/slog"
	"path/filepath"
)

// Versions of what is shipped; stamped by the Makefile from tools/*/go.mod.
var (
	ContainerdVersion = "unknown"
	RuncVersion       = "unknown"
)

// PauseImage is the sandbox image. The Makefile gives bin/pause.tar this name.
const PauseImage = "coxswain.dev/pause:1"

// Config says where the engine lives and what it may do. DataDir and RunDir
// must be absolute.
type Config struct {
	// BinDir holds containerd, containerd-shim-runc-v2, runc and pause.tar.
	BinDir string
	// DataDir and RunDir are cox's own; the engine uses folders below them.
	DataDir, RunDir string
	// Endpoint is the socket of an engine that somebody else runs, as a path
	// or a unix:// URL. Empty starts ours.
	Endpoint string
	// PodLabels tell our Pods from others on such an engine.
	PodLabels map[string]string
	// Mirrors say where else images are pulled from, in order of preference.
	Mirrors []Mirror
	// CNIConfDir is where the Pod network's configuration will appear, empty
	// means RunDir/cni. CNIBinDir holds its plugin, empty means BinDir.
	CNIConfDir, CNIBinDir string
	// Logger is told about starts and deaths; nil means slog.Default().
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.CNIConfDir = cmp.Or(c.CNIConfDir, filepath.Join(c.RunDir, "cni"))
	c.CNIBinDir = cmp.Or(c.CNIBinDir, c.BinDir)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// Endpoint is where the engine of a run directory listens, as a URL.
func Endpoint(runDir string) string { return "unix://" + Config{RunDir: runDir}.socket() }

func (c Config) runPath(name string) string { return filepath.Join(c.RunDir, "containerd", name) }

func (c Config) socket() string     { return c.runPath("containerd.sock") }
func (c Config) configFile() string { return c.runPath("config.toml") }
func (c Config) recordFile() string { return c.runPath("engine.json") }
func (c Config) certsDir() string   { return c.runPath("certs.d") }
func (c Config) stateDir() string   { return c.runPath("state") }
func (c Config) rootDir() string    { return filepath.Join(c.DataDir, "containerd") }
func (c Config) logDir() string     { return filepath.Join(c.DataDir, "logs") }
func (c Config) logFile() string    { return filepath.Join(c.logDir(), "containerd.log") }

func (c Config) binary(name string) string { return filepath.Join(c.BinDir, name) }
