package core

import corev1 "k8s.io/api/core/v1"

// setVolumeDefaults makes a volume without a source an emptyDir.
func setVolumeDefaults(volume *corev1.Volume) {
	source := &volume.VolumeSource
	if *source == (corev1.VolumeSource{}) {
		source.EmptyDir = &corev1.EmptyDirVolumeSource{}
	}
	const fileMode = int32(0o644)
	switch {
	case source.ConfigMap != nil:
		setIfNil(&source.ConfigMap.DefaultMode, fileMode)
	case source.Secret != nil:
		setIfNil(&source.Secret.DefaultMode, fileMode)
	case source.DownwardAPI != nil:
		setIfNil(&source.DownwardAPI.DefaultMode, fileMode)
		setDownwardDefaults(source.DownwardAPI.Items)
	case source.Image != nil:
		setIfEmpty(&source.Image.PullPolicy, pullPolicyOf(source.Image.Reference))
	case source.HostPath != nil:
		setIfNil(&source.HostPath.Type, corev1.HostPathUnset)
	case source.Projected != nil:
		setIfNil(&source.Projected.DefaultMode, fileMode)
		for i := range source.Projected.Sources {
			projection := &source.Projected.Sources[i]
			if projection.DownwardAPI != nil {
				setDownwardDefaults(projection.DownwardAPI.Items)
			}
			if projection.ServiceAccountToken != nil {
				setIfNil(&projection.ServiceAccountToken.ExpirationSeconds, int64(60*60))
			}
		}
	}
}

func setDownwardDefaults(items []corev1.DownwardAPIVolumeFile) {
	for i := range items {
		if items[i].FieldRef != nil {
			setIfEmpty(&items[i].FieldRef.APIVersion, "v1")
		}
	}
}
