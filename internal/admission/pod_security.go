package admission

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/warning"
	podsecurity "k8s.io/pod-security-admission/admission"
	securityapi "k8s.io/pod-security-admission/admission/api"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/metrics"
	"k8s.io/pod-security-admission/policy"

	appsapi "coxswain.dev/cox/internal/apis/apps"
)

// podSecurity holds Pods to the standard that the labels of their namespace
// name (pod-security.kubernetes.io/enforce, audit, warn). The default is
// privileged: nothing is refused.
type podSecurity struct {
	*admission.Handler
	library *podsecurity.Admission
}

var _ admission.ValidationInterface = &podSecurity{}

func newPodSecurity(deps Dependencies) (admission.Interface, error) {
	checks, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return nil, fmt.Errorf("the admission of Pod security: %w", err)
	}
	namespaces := deps.Informers.Core().V1().Namespaces()
	library := &podsecurity.Admission{
		Configuration: &securityapi.PodSecurityConfiguration{Defaults: securityapi.PodSecurityDefaults{
			Enforce: string(api.LevelPrivileged), EnforceVersion: api.VersionLatest,
			Audit: string(api.LevelPrivileged), AuditVersion: api.VersionLatest,
			Warn: string(api.LevelPrivileged), WarnVersion: api.VersionLatest,
		}},
		Evaluator: checks, Metrics: unmeasured{}, PodSpecExtractor: podsecurity.DefaultPodSpecExtractor{},
		NamespaceGetter: podsecurity.NamespaceGetterFromListerAndClient(namespaces.Lister(), deps.Client),
		// Pods are listed only when a namespace's labels change.
		PodLister: podsecurity.PodListerFromClient(deps.Client),
	}
	if err := library.CompleteConfiguration(); err != nil {
		return nil, fmt.Errorf("the admission of Pod security: %w", err)
	}
	if err := library.ValidateConfiguration(); err != nil {
		return nil, fmt.Errorf("the admission of Pod security: %w", err)
	}
	plugin := &podSecurity{Handler: admission.NewHandler(admission.Create, admission.Update), library: library}
	plugin.SetReadyFunc(namespaces.Informer().HasSynced)
	return plugin, nil
}

// Validate implements admission.ValidationInterface.
func (p *podSecurity) Validate(ctx context.Context, attributes admission.Attributes, _ admission.ObjectInterfaces) error {
	resource := appsapi.Moved(attributes.GetResource().GroupResource())
	if resource != corev1.Resource("namespaces") && !p.library.PodSpecExtractor.HasPodSpec(resource) {
		return nil
	}
	answer := p.library.Validate(ctx, &api.AttributesRecord{
		Name: attributes.GetName(), Namespace: attributes.GetNamespace(),
		Kind: attributes.GetKind(), Resource: resource.WithVersion(attributes.GetResource().Version), Subresource: attributes.GetSubresource(),
		Operation: admissionv1.Operation(attributes.GetOperation()),
		Object:    attributes.GetObject(), OldObject: attributes.GetOldObject(),
		Username: attributes.GetUserInfo().GetName(),
	})
	for _, text := range answer.Warnings {
		warning.AddWarning(ctx, "", text)
	}
	for _, key := range slices.Sorted(maps.Keys(answer.AuditAnnotations)) {
		if err := attributes.AddAnnotation("pod-security.kubernetes.io/"+key, answer.AuditAnnotations[key]); err != nil {
			return fmt.Errorf("recording the Pod security of %s %q: %w", resource, attributes.GetName(), err)
		}
	}
	if answer.Allowed {
		return nil
	}
	return refusal(attributes, answer)
}

// refusal is the library's answer as an error of the API.
func refusal(attributes admission.Attributes, answer *admissionv1.AdmissionResponse) error {
	err := admission.NewForbidden(attributes, errors.New("Not allowed by PodSecurity"))
	var status *apierrors.StatusError
	if answer.Result == nil || !errors.As(err, &status) {
		return err
	}
	if answer.Result.Message != "" {
		status.ErrStatus.Message = answer.Result.Message
	}
	if answer.Result.Reason != "" {
		status.ErrStatus.Reason = answer.Result.Reason
	}
	if answer.Result.Details != nil {
		status.ErrStatus.Details = answer.Result.Details
	}
	if answer.Result.Code != 0 {
		status.ErrStatus.Code = answer.Result.Code
	}
	return status
}

// unmeasured keeps no metrics.
type unmeasured struct{}

var _ metrics.Recorder = unmeasured{}

func (unmeasured) RecordEvaluation(metrics.Decision, api.LevelVersion, metrics.Mode, api.Attributes) {
}
func (unmeasured) RecordExemption(api.Attributes)   {}
func (unmeasured) RecordError(bool, api.Attributes) {}
