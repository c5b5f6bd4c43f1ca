// Package translations keeps kubectl's translations from being loaded where no
// kubectl runs: its packages ask for them when the program starts, which took a
// third of the time of every cox command, and 4 MB.
//
// Of packages that are ready to be initialised, the one whose path sorts first
// is: this one comes before kubectl's own, as long as it imports nothing that
// needs them.
package translations

import (
	"os"
	"path/filepath"

	"k8s.io/kubectl/pkg/util/i18n"
)

func init() {
	if needed(os.Args) {
		return
	}
	if err := i18n.SetLoadTranslationsFunc(func() error { return nil }); err != nil {
		panic(err) // some package of kubectl's was initialised before this one
	}
}

// needed tells whether a program with these arguments may run kubectl: a cox
// does so by `cox kubectl` only.
func needed(args []string) bool {
	return filepath.Base(args[0]) != "cox" || len(args) > 1 && args[1] == "kubectl"
}
