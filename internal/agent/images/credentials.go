package images

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path"
	"sort"
	"strings"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// login is one registry's entry of a Docker configuration.
type login struct {
	Username      string `json:"username"`
	Password      string `json:"password"`
	Auth          string `json:"auth"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

// credentials are those of the Pod's imagePullSecrets that fit the image, the
// most specific first.
func (p *Puller) credentials(ctx context.Context, r Request, image string) []*runtimeapi.AuthConfig {
	type match struct {
		length int
		auth   *runtimeapi.AuthConfig
	}
	var matches []match
	var missing []string
	for _, ref := range r.Pod.Spec.ImagePullSecrets {
		secret, err := p.secrets.Secret(ctx, r.Pod.Namespace, ref.Name)
		if err != nil {
			missing = append(missing, ref.Name)
			continue
		}
		for registry, entry := range logins(secret) {
			if length := fits(registry, image); length > 0 {
				matches = append(matches, match{length, entry.auth()})
			}
		}
	}
	if len(missing) > 0 {
		r.Event(corev1.EventTypeWarning, "FailedToRetrieveImagePullSecret", fmt.Sprintf(
			"Unable to retrieve some image pull secrets (%s); attempting to pull the image may not succeed.", strings.Join(missing, ", ")))
	}
	sort.SliceStable(matches, func(i, j int) bool { return matches[i].length > matches[j].length })
	var all []*runtimeapi.AuthConfig
	for _, match := range matches {
		all = append(all, match.auth)
	}
	return all
}

// logins reads both forms of Docker's configuration. What cannot be read gives
// nothing, and the pull then says what the registry refuses.
func logins(secret *corev1.Secret) map[string]login {
	if content, ok := secret.Data[corev1.DockerConfigJsonKey]; ok {
		var config struct {
			Auths map[string]login `json:"auths"`
		}
		if json.Unmarshal(content, &config) == nil {
			return config.Auths
		}
	}
	entries := map[string]login{}
	if content, ok := secret.Data[corev1.DockerConfigKey]; ok && json.Unmarshal(content, &entries) == nil {
		return entries
	}
	return nil
}

func (l login) auth() *runtimeapi.AuthConfig {
	if decoded, err := base64.StdEncoding.DecodeString(l.Auth); err == nil && l.Auth != "" {
		if name, password, ok := strings.Cut(string(decoded), ":"); ok {
			l.Username, l.Password = name, strings.TrimRight(password, "\x00")
		}
	}
	return &runtimeapi.AuthConfig{Username: l.Username, Password: l.Password, IdentityToken: l.IdentityToken, RegistryToken: l.RegistryToken}
}

// fits returns how specific a registry's entry is for an image, 0 if it is for
// others. Entries may have a scheme, a path, and * within parts of the host.
func fits(registry, image string) int {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return 0
	}
	registry = strings.TrimPrefix(strings.TrimPrefix(registry, "https://"), "http://")
	registry = strings.TrimSuffix(registry, "/")
	host, rest, _ := strings.Cut(registry, "/")
	if rest == "v1" || rest == "v2" {
		rest = ""
	}
	if host == "index.docker.io" || host == "registry-1.docker.io" {
		host = "docker.io"
	}
	if ok, err := path.Match(host, reference.Domain(named)); err != nil || !ok {
		return 0
	}
	repository := reference.Path(named)
	if rest != "" && repository != rest && !strings.HasPrefix(repository, rest+"/") {
		return 0
	}
	return len(host) + len(rest)
}
