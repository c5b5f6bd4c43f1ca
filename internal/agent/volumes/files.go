package volumes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"coxswain.dev/cox/internal/agent/downward"
)

// ErrUnsupported is for volumes of kinds that need a storage driver.
var ErrUnsupported = errors.New("this kind of volume is not supported: use emptyDir, hostPath, configMap, secret, downwardAPI or projected")

// files are the content of a volume that is made of API objects.
func (h *Host) files(ctx context.Context, pod *corev1.Pod, volume *corev1.Volume) (files map[string]file, refresh time.Time, err error) {
	switch {
	case volume.ConfigMap != nil:
		source := volume.ConfigMap
		files, err = h.configMap(ctx, pod, source.Name, source.Items, source.Optional, modeOf(source.DefaultMode))
	case volume.Secret != nil:
		source := volume.Secret
		files, err = h.secret(ctx, pod, source.SecretName, source.Items, source.Optional, modeOf(source.DefaultMode))
	case volume.DownwardAPI != nil:
		files, err = h.downward(pod, volume.DownwardAPI.Items, modeOf(volume.DownwardAPI.DefaultMode))
	case volume.Projected != nil:
		return h.projected(ctx, pod, volume.Projected)
	default:
		err = ErrUnsupported
	}
	return files, time.Time{}, err
}

func modeOf(given *int32) fs.FileMode {
	if given == nil {
		return 0o644
	}
	return fs.FileMode(*given)
}

func (h *Host) configMap(ctx context.Context, pod *corev1.Pod, name string, items []corev1.KeyToPath, optional *bool, mode fs.FileMode) (map[string]file, error) {
	found, err := h.Source.ConfigMap(ctx, pod.Namespace, name)
	if apierrors.IsNotFound(err) && optional != nil && *optional {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	content := map[string][]byte{}
	for key, value := range found.Data {
		content[key] = []byte(value)
	}
	maps.Copy(content, found.BinaryData)
	return choose(content, items, "configmap references non-existent config key", optional, mode)
}

func (h *Host) secret(ctx context.Context, pod *corev1.Pod, name string, items []corev1.KeyToPath, optional *bool, mode fs.FileMode) (map[string]file, error) {
	found, err := h.Source.Secret(ctx, pod.Namespace, name)
	if apierrors.IsNotFound(err) && optional != nil && *optional {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return choose(found.Data, items, "references non-existent secret key", optional, mode)
}

// choose takes the keys that items name, or all of them. missing is what to say
// of a key that is not there.
func choose(content map[string][]byte, items []corev1.KeyToPath, missing string, optional *bool, mode fs.FileMode) (map[string]file, error) {
	files := map[string]file{}
	if len(items) == 0 {
		for key, value := range content {
			files[key] = file{value, mode, -1}
		}
		return files, nil
	}
	for _, item := range items {
		value, known := content[item.Key]
		if !known {
			if optional != nil && *optional {
				continue
			}
			return nil, fmt.Errorf("%s: %s", missing, item.Key)
		}
		one := mode
		if item.Mode != nil {
			one = fs.FileMode(*item.Mode)
		}
		files[item.Path] = file{value, one, -1}
	}
	return files, nil
}

func (h *Host) downward(pod *corev1.Pod, items []corev1.DownwardAPIVolumeFile, mode fs.FileMode) (map[string]file, error) {
	files := map[string]file{}
	for _, item := range items {
		var value string
		var err error
		switch {
		case item.FieldRef != nil:
			value, err = downward.Field(pod, item.FieldRef.FieldPath)
		case item.ResourceFieldRef != nil:
			value, err = downward.Resource(pod, nil, item.ResourceFieldRef, h.Node)
		}
		if err != nil {
			return nil, err
		}
		one := mode
		if item.Mode != nil {
			one = fs.FileMode(*item.Mode)
		}
		files[item.Path] = file{[]byte(value), one, -1}
	}
	return files, nil
}

func (h *Host) projected(ctx context.Context, pod *corev1.Pod, volume *corev1.ProjectedVolumeSource) (map[string]file, time.Time, error) {
	all, refresh := map[string]file{}, time.Time{}
	mode := modeOf(volume.DefaultMode)
	for _, source := range volume.Sources {
		var files map[string]file
		var err error
		switch {
		case source.ConfigMap != nil:
			files, err = h.configMap(ctx, pod, source.ConfigMap.Name, source.ConfigMap.Items, source.ConfigMap.Optional, mode)
		case source.Secret != nil:
			files, err = h.secret(ctx, pod, source.Secret.Name, source.Secret.Items, source.Secret.Optional, mode)
		case source.DownwardAPI != nil:
			files, err = h.downward(pod, source.DownwardAPI.Items, mode)
		case source.ServiceAccountToken != nil:
			var token string
			var next time.Time
			token, next, err = h.Source.Token(ctx, pod, source.ServiceAccountToken)
			files = map[string]file{source.ServiceAccountToken.Path: tokenFile(pod, token, mode)}
			if !next.IsZero() && (refresh.IsZero() || next.Before(refresh)) {
				refresh = next
			}
		default:
			err = ErrUnsupported
		}
		if err != nil {
			return nil, time.Time{}, err
		}
		maps.Copy(all, files)
	}
	return all, refresh, nil
}

// tokenFile is readable by the one user that all containers run as, if there
// is one, and by nobody else.
func tokenFile(pod *corev1.Pod, token string, mode fs.FileMode) file {
	f := file{[]byte(token), mode, -1}
	if fsGroup(pod) >= 0 {
		f.mode = 0o600
		return f
	}
	if user, only := onlyUser(pod); only {
		f.mode, f.uid = 0o600, int(user)
	}
	return f
}

func onlyUser(pod *corev1.Pod) (user int64, only bool) {
	var common *int64
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			var own *int64
			if pod.Spec.SecurityContext != nil {
				own = pod.Spec.SecurityContext.RunAsUser
			}
			if list[i].SecurityContext != nil && list[i].SecurityContext.RunAsUser != nil {
				own = list[i].SecurityContext.RunAsUser
			}
			if own == nil || common != nil && *common != *own {
				return 0, false
			}
			common = own
		}
	}
	if common == nil {
		return 0, false
	}
	return *common, true
}
