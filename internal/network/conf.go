package network

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// cniVersion leaves STATUS and GC out: the runtime would start the plugin for
// each question about its own status.
const cniVersion = "1.0.0"

// confPath is read before the files of others, should there be any.
func confPath(config Config) string {
	return filepath.Join(config.ConfDir, "00-coxswain.conflist")
}

// writeConf writes the plugin's configuration, unless it is there already: the
// runtime reads it again at every change.
func writeConf(config Config) error {
	type object = map[string]any
	content, err := json.MarshalIndent(object{
		"cniVersion": cniVersion,
		"name":       "coxswain",
		"plugins": []object{{
			"type":     "cox-cni",
			"podCIDR":  config.PodCIDR.Masked(),
			"gateway":  config.Gateway(),
			"stateDir": config.StateDir,
		}},
	}, "", "  ")
	if err != nil {
		return err
	}
	path := confPath(config)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, content) {
		return nil
	}
	if err := os.MkdirAll(config.ConfDir, 0o755); err != nil {
		return fmt.Errorf("making the directory for network configurations: %w", err)
	}
	// A reader sees the old file or the new one, never half of it.
	temporary := path + ".new"
	if err := os.WriteFile(temporary, content, 0o644); err != nil {
		return fmt.Errorf("writing the network configuration: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("writing the network configuration: %w", err)
	}
	return nil
}
