package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/plan"
)

// outcomeOf completes an update by the answer to its dry run. An error that is
// not the API's refusal is returned.
func outcomeOf(update *planned, after *appsv1.Deployment, err error) (*planned, error) {
	if err == nil {
		update.after = after
		return update, nil
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) || apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err) || apierrors.IsUnauthorized(err) {
		return nil, err
	}
	update.refused = refusals(status.Status(), update.namespace)
	return update, nil
}

// strictError begins what the API says of unknown fields.
const strictError = "strict decoding error: "

// missingNamespace is the cause of a refusal because there is no namespace.
const missingNamespace = "Namespace"

// refusals are the reasons for which the API does not take a Deployment, one
// for each field that is wrong.
func refusals(status metav1.Status, namespace string) []plan.Problem {
	if status.Reason == metav1.StatusReasonInvalid && status.Details != nil && len(status.Details.Causes) > 0 {
		var all []plan.Problem
		for _, cause := range status.Details.Causes {
			message := fmt.Sprintf("%s: %s", cause.Field, cause.Message)
			if _, fields, unknown := strings.Cut(message, strictError); unknown {
				message = fields
			}
			all = append(all, plan.Problem{Stops: true, Cause: "Field", Message: message, Advice: adviceForField(cause)})
		}
		return all
	}
	problem := plan.Problem{Stops: true, Cause: string(status.Reason), Message: status.Message}
	switch {
	case strings.Contains(status.Message, strictError):
		problem.Cause = "Field"
		_, problem.Message, _ = strings.Cut(status.Message, strictError)
	case status.Reason == metav1.StatusReasonNotFound && status.Details != nil && status.Details.Kind == "namespaces":
		problem.Cause, problem.Advice = missingNamespace, "create it first: kubectl create namespace "+namespace
	case status.Reason == metav1.StatusReasonNotFound:
		problem.Message, problem.Advice = "this API version is not served here", "write apiVersion: apps/v1"
	case status.Reason == metav1.StatusReasonConflict:
		problem.Advice = "leave metadata.resourceVersion out of the file, or get the file anew"
	case status.Reason == metav1.StatusReasonForbidden && strings.Contains(status.Message, "exceeded quota"):
		problem.Cause, problem.Advice = "ResourceQuota", "raise the quota, or delete what is not needed"
	case status.Reason == metav1.StatusReasonForbidden && strings.Contains(status.Message, `User "`):
		problem.Cause, problem.Advice = "Permission", "have this right granted by a Role and a RoleBinding"
	}
	return []plan.Problem{problem}
}

// wrongType finds a field with a value of the wrong type. Of a patch, the API
// would not say which field it is.
func wrongType(m manifest) (problem plan.Problem, found bool) {
	var mistake *json.UnmarshalTypeError
	err := json.Unmarshal(m.json, &appsv1.Deployment{})
	if m.APIVersion != appsv1.SchemeGroupVersion.String() || !errors.As(err, &mistake) {
		return plan.Problem{}, false
	}
	return plan.Problem{Stops: true, Cause: "Field", Message: typeMistake(mistake)}, true
}

func adviceForField(cause metav1.StatusCause) string {
	switch {
	case strings.HasPrefix(cause.Field, "spec.selector") && strings.Contains(cause.Message, "immutable"):
		return "keep the selector, or make a Deployment of another name and delete this one when the new one serves"
	case strings.Contains(cause.Message, "immutable"):
		return "keep it as it is, or make a Deployment of another name"
	default:
		return ""
	}
}

// podRefusal sorts out why the API takes no Pod of the new template. ok is
// false if that does not say whether the controller's Pods are refused: the
// user may not make Pods, or the API did not answer.
func podRefusal(err error, ranges []corev1.LimitRange) (problem plan.Problem, ok bool) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return plan.Problem{}, false
	}
	message := status.Status().Message
	if strings.HasPrefix(message, "pods is forbidden: User ") || strings.HasPrefix(message, "pods \"") && strings.Contains(message, "\" is forbidden: User ") {
		return plan.Problem{}, false
	}
	for _, known := range []struct{ sign, cause, advice string }{
		{"error looking up service account", "ServiceAccount", "create it first: the API refuses Pods without it"},
		{"usage per ", "LimitRange", "keep within it, or change the LimitRange"},
		{"limit to request ratio", "LimitRange", "keep within it, or change the LimitRange"},
		{"violates PodSecurity", "PodSecurity", "set what it names in securityContext, or relax the namespace's pod-security.kubernetes.io labels"},
		{"PriorityClass", "PriorityClass", "create the PriorityClass first, or leave priorityClassName out"},
	} {
		if strings.Contains(message, known.sign) {
			return plan.Problem{Cause: known.cause, Message: withoutSubject(message), Advice: known.advice}, true
		}
	}
	if details := status.Status().Details; details != nil && apierrors.IsInvalid(err) && len(details.Causes) > 0 {
		return invalidPod(details.Causes[0], ranges), true
	}
	return plan.Problem{Cause: "Admission", Message: withoutSubject(message), Advice: "change the template so that the API takes its Pods"}, true
}

// invalidPod is a Pod that became wrong by what the API added to it, since the
// template itself was taken: most often a limit that a LimitRange gives.
func invalidPod(cause metav1.StatusCause, ranges []corev1.LimitRange) plan.Problem {
	problem := plan.Problem{Cause: "Field", Message: fmt.Sprintf("%s: %s", cause.Field, cause.Message), Advice: "change the template so that the API takes its Pods"}
	if len(ranges) > 0 && strings.Contains(cause.Field, "resources") {
		problem.Cause = "LimitRange"
		problem.Advice = fmt.Sprintf("LimitRange %s sets what the template leaves out: state requests and limits that fit together", ranges[0].Name)
	}
	return problem
}

// isQuota tells whether an error is a quota's. The plan foresees those itself,
// since room comes and goes on the way.
func isQuota(err error) bool {
	return apierrors.IsForbidden(err) && (strings.Contains(err.Error(), "exceeded quota: ") || strings.Contains(err.Error(), "failed quota: "))
}

// withoutSubject leaves the made-up name of the tried Pod out.
func withoutSubject(message string) string {
	if _, what, found := strings.Cut(message, " is forbidden: "); found && strings.HasPrefix(message, "pods ") {
		return what
	}
	return message
}
