package translations

import "testing"

func TestOnlyKubectlNeedsTranslations(t *testing.T) {
	for _, test := range []struct {
		args []string
		want bool
	}{
		{[]string{"cox"}, false},
		{[]string{"/usr/local/bin/cox", "up", "-d"}, false},
		{[]string{"bin/cox", "plan", "kubectl"}, false},
		{[]string{"cox", "kubectl"}, true},
		{[]string{"cox", "kubectl", "get", "pods"}, true},
		{[]string{"/tmp/go-build1/cli.test", "-test.v"}, true},
	} {
		if got := needed(test.args); got != test.want {
			t.Errorf("%v: %t, want %t", test.args, got, test.want)
		}
	}
}
