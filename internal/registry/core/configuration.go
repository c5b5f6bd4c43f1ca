package core

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	api "coxswain.dev/cox/internal/apis/core"
	"coxswain.dev/cox/internal/registry"
)

func configMap() registry.Kind[*corev1.ConfigMap] {
	return registry.Kind[*corev1.ConfigMap]{
		Version: corev1.SchemeGroupVersion, Resource: "configmaps", Singular: "configmap", ShortNames: []string{"cm"},
		New:      func() *corev1.ConfigMap { return &corev1.ConfigMap{} },
		NewList:  func() runtime.Object { return &corev1.ConfigMapList{} },
		Validate: func(_ context.Context, obj *corev1.ConfigMap) field.ErrorList { return api.ValidateConfigMap(obj) },
		ValidateUpdate: func(_ context.Context, obj, old *corev1.ConfigMap) field.ErrorList {
			return api.ValidateConfigMapUpdate(obj, old)
		},
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn, registry.Column("Data", "string", corev1.ConfigMap{}.SwaggerDoc()["data"]), registry.AgeColumn,
		},
		Row: func(obj *corev1.ConfigMap) []any {
			return []any{obj.Name, int64(len(obj.Data) + len(obj.BinaryData)), registry.Age(obj.CreationTimestamp)}
		},
	}
}

func secret() registry.Kind[*corev1.Secret] {
	return registry.Kind[*corev1.Secret]{
		Version: corev1.SchemeGroupVersion, Resource: "secrets", Singular: "secret",
		New:              func() *corev1.Secret { return &corev1.Secret{} },
		NewList:          func() runtime.Object { return &corev1.SecretList{} },
		PrepareForCreate: func(_ context.Context, obj *corev1.Secret) { encodeStringData(obj) },
		PrepareForUpdate: func(_ context.Context, obj, old *corev1.Secret) {
			encodeStringData(obj)
			if obj.Type == "" {
				obj.Type = old.Type
			}
		},
		Validate: func(_ context.Context, obj *corev1.Secret) field.ErrorList { return api.ValidateSecret(obj) },
		ValidateUpdate: func(_ context.Context, obj, old *corev1.Secret) field.ErrorList {
			return api.ValidateSecretUpdate(obj, old)
		},
		Fields: func(obj *corev1.Secret) fields.Set { return fields.Set{"type": string(obj.Type)} },
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn, registry.Column("Type", "string", corev1.Secret{}.SwaggerDoc()["type"]),
			registry.Column("Data", "string", corev1.Secret{}.SwaggerDoc()["data"]), registry.AgeColumn,
		},
		Row: func(obj *corev1.Secret) []any {
			return []any{obj.Name, string(obj.Type), int64(len(obj.Data)), registry.Age(obj.CreationTimestamp)}
		},
	}
}

// encodeStringData moves stringData, which is write-only, to data.
func encodeStringData(secret *corev1.Secret) {
	if len(secret.StringData) > 0 && secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	for key, value := range secret.StringData {
		secret.Data[key] = []byte(value)
	}
	secret.StringData = nil
}

func serviceAccount() registry.Kind[*corev1.ServiceAccount] {
	return registry.Kind[*corev1.ServiceAccount]{
		Version: corev1.SchemeGroupVersion, Resource: "serviceaccounts", Singular: "serviceaccount", ShortNames: []string{"sa"},
		New:      func() *corev1.ServiceAccount { return &corev1.ServiceAccount{} },
		NewList:  func() runtime.Object { return &corev1.ServiceAccountList{} },
		NameRule: apivalidation.ValidateServiceAccountName,
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn, registry.Column("Secrets", "string", corev1.ServiceAccount{}.SwaggerDoc()["secrets"]), registry.AgeColumn,
		},
		Row: func(obj *corev1.ServiceAccount) []any {
			return []any{obj.Name, int64(len(obj.Secrets)), registry.Age(obj.CreationTimestamp)}
		},
	}
}

func resourceQuota() registry.Kind[*corev1.ResourceQuota] {
	return registry.Kind[*corev1.ResourceQuota]{
		Version: corev1.SchemeGroupVersion, Resource: "resourcequotas", Singular: "resourcequota", ShortNames: []string{"quota"},
		New:              func() *corev1.ResourceQuota { return &corev1.ResourceQuota{} },
		NewList:          func() runtime.Object { return &corev1.ResourceQuotaList{} },
		PrepareForCreate: func(_ context.Context, obj *corev1.ResourceQuota) { obj.Status = corev1.ResourceQuotaStatus{} },
		PrepareForUpdate: func(_ context.Context, obj, old *corev1.ResourceQuota) { obj.Status = old.Status },
		Validate: func(_ context.Context, obj *corev1.ResourceQuota) field.ErrorList {
			return api.ValidateResourceQuota(obj)
		},
		ValidateUpdate: func(_ context.Context, obj, old *corev1.ResourceQuota) field.ErrorList {
			return api.ValidateResourceQuotaUpdate(obj, old)
		},
		Status: &registry.Status[*corev1.ResourceQuota]{
			PrepareForUpdate: func(_ context.Context, obj, old *corev1.ResourceQuota) { obj.Spec = old.Spec },
			ValidateUpdate: func(_ context.Context, obj, _ *corev1.ResourceQuota) field.ErrorList {
				return api.ValidateResourceQuotaStatusUpdate(obj)
			},
		},
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn,
			registry.Column("Request", "string", "Request represents a minimum amount of cpu/memory that a container may consume."),
			registry.Column("Limit", "string", "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node."),
			registry.AgeColumn,
		},
		Row: func(obj *corev1.ResourceQuota) []any {
			requests, limits := quotaUse(obj)
			return []any{obj.Name, requests, limits, registry.Age(obj.CreationTimestamp)}
		},
	}
}

func limitRange() registry.Kind[*corev1.LimitRange] {
	return registry.Kind[*corev1.LimitRange]{
		Version: corev1.SchemeGroupVersion, Resource: "limitranges", Singular: "limitrange", ShortNames: []string{"limits"},
		New:      func() *corev1.LimitRange { return &corev1.LimitRange{} },
		NewList:  func() runtime.Object { return &corev1.LimitRangeList{} },
		Validate: func(_ context.Context, obj *corev1.LimitRange) field.ErrorList { return api.ValidateLimitRange(obj) },
		ValidateUpdate: func(_ context.Context, obj, _ *corev1.LimitRange) field.ErrorList {
			return api.ValidateLimitRange(obj)
		},
		Columns: []metav1.TableColumnDefinition{
			registry.NameColumn,
			{Name: "Created At", Type: "date", Description: metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"]},
		},
		Row: func(obj *corev1.LimitRange) []any {
			return []any{obj.Name, obj.CreationTimestamp.UTC().Format("2006-01-02T15:04:05Z")}
		},
	}
}
