package core

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
)

// bindingStorage serves pods/binding: it gives a Pod its node.
type bindingStorage struct{ store *genericregistry.Store }

var _ rest.NamedCreater = &bindingStorage{}

func (s *bindingStorage) New() runtime.Object   { return &corev1.Binding{} }
func (s *bindingStorage) Destroy()              {}
func (s *bindingStorage) NamespaceScoped() bool { return true }

// Create binds the named Pod, in one write: its node, the binding's
// annotations and labels, and the condition that says so. A Pod that has a node or is on its way
// out is refused with a conflict.
func (s *bindingStorage) Create(ctx context.Context, name string, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	binding, ok := obj.(*corev1.Binding)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a Binding object: %#v", obj))
	}
	if name != binding.Name {
		return nil, apierrors.NewBadRequest("name in URL does not match name in Binding object")
	}
	if binding.Target.Name == "" {
		return nil, apierrors.NewBadRequest("target.name: Required value")
	}
	if validate != nil {
		if err := validate(ctx, binding.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	key, err := s.store.KeyFunc(ctx, name)
	if err != nil {
		return nil, err
	}
	var preconditions *storage.Preconditions
	if binding.UID != "" || binding.ResourceVersion != "" {
		preconditions = &storage.Preconditions{}
		if binding.UID != "" {
			preconditions.UID = &binding.UID
		}
		if binding.ResourceVersion != "" {
			preconditions.ResourceVersion = &binding.ResourceVersion
		}
	}
	err = s.store.Storage.GuaranteedUpdate(ctx, key, s.store.NewFunc(), false, preconditions, storage.SimpleUpdate(func(obj runtime.Object) (runtime.Object, error) {
		return bind(obj.(*corev1.Pod), binding)
	}), len(options.DryRun) > 0, nil)
	if err != nil {
		var status apierrors.APIStatus
		if errors.As(err, &status) {
			return nil, err
		}
		pods := schema.GroupResource{Resource: "pods/binding"}
		if storage.IsNotFound(err) {
			return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, name)
		}
		return nil, apierrors.NewConflict(pods, name, err)
	}
	return &metav1.Status{Status: metav1.StatusSuccess}, nil
}

func bind(pod *corev1.Pod, binding *corev1.Binding) (runtime.Object, error) {
	switch {
	case pod.DeletionTimestamp != nil:
		return nil, fmt.Errorf("pod %s is being deleted, cannot be assigned to a host", pod.Name)
	case pod.Spec.NodeName != "":
		return nil, fmt.Errorf("pod %v is already assigned to node %q", pod.Name, pod.Spec.NodeName)
	case len(pod.Spec.SchedulingGates) != 0:
		return nil, fmt.Errorf("pod %v has non-empty .spec.schedulingGates", pod.Name)
	}
	pod.Spec.NodeName = binding.Target.Name
	for key, value := range binding.Annotations {
		metav1.SetMetaDataAnnotation(&pod.ObjectMeta, key, value)
	}
	now := metav1.NewTime(time.Now())
	scheduled := corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: now, ObservedGeneration: pod.Generation}
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == corev1.PodScheduled {
			pod.Status.Conditions[i] = scheduled
			return pod, nil
		}
	}
	pod.Status.Conditions = append(pod.Status.Conditions, scheduled)
	return pod, nil
}

// evictionStorage serves pods/eviction: a deletion that a disruption budget
// could refuse, if there were any.
type evictionStorage struct{ store *genericregistry.Store }

var (
	_ rest.NamedCreater             = &evictionStorage{}
	_ rest.GroupVersionKindProvider = &evictionStorage{}
)

func (s *evictionStorage) New() runtime.Object { return &policyv1.Eviction{} }
func (s *evictionStorage) Destroy()            {}

// GroupVersionKind implements rest.GroupVersionKindProvider.
func (s *evictionStorage) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return policyv1.SchemeGroupVersion.WithKind("Eviction")
}

// Create deletes the named Pod with the options of the eviction.
func (s *evictionStorage) Create(ctx context.Context, name string, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	eviction, ok := obj.(*policyv1.Eviction)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a Eviction object: %T", obj))
	}
	if name != eviction.Name {
		return nil, apierrors.NewBadRequest("name in URL does not match name in Eviction object")
	}
	if validate != nil {
		if err := validate(ctx, eviction.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	deletion := eviction.DeleteOptions
	if deletion == nil {
		deletion = &metav1.DeleteOptions{}
	}
	deletion.DryRun = options.DryRun
	if _, _, err := s.store.Delete(ctx, name, rest.ValidateAllObjectFunc, deletion); err != nil {
		return nil, err
	}
	return &metav1.Status{Status: metav1.StatusSuccess}, nil
}

// logStorage serves pods/log: what a container printed, from its node.
type logStorage struct {
	store *genericregistry.Store
	nodes NodeDialer
}

var (
	_ rest.Connecter       = &logStorage{}
	_ rest.StorageMetadata = &logStorage{}
)

func (s *logStorage) New() runtime.Object               { return &corev1.Pod{} }
func (s *logStorage) Destroy()                          {}
func (s *logStorage) ConnectMethods() []string          { return []string{http.MethodGet} }
func (s *logStorage) ProducesMIMETypes(string) []string { return []string{"text/plain"} }
func (s *logStorage) ProducesObject(string) any         { return "" }
func (s *logStorage) NewConnectOptions() (runtime.Object, bool, string) {
	return &corev1.PodLogOptions{}, false, ""
}

// Connect returns the handler of one request.
func (s *logStorage) Connect(ctx context.Context, name string, options runtime.Object, responder rest.Responder) (http.Handler, error) {
	opts, ok := options.(*corev1.PodLogOptions)
	if !ok {
		return nil, fmt.Errorf("invalid options object: %#v", options)
	}
	obj, err := s.store.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	pod := obj.(*corev1.Pod)
	container, err := containerOf(pod, opts.Container)
	if err != nil {
		return nil, err
	}
	if pod.Spec.NodeName == "" {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("pod %s does not have a host assigned", pod.Name))
	}
	if s.nodes == nil {
		return nil, apierrors.NewServiceUnavailable("no agent runs on node " + pod.Spec.NodeName)
	}
	node, err := s.nodes.Node(pod.Spec.NodeName)
	if err != nil {
		return nil, apierrors.NewServiceUnavailable(err.Error())
	}
	target := &url.URL{
		Path:     fmt.Sprintf("/containerLogs/%s/%s/%s", pod.Namespace, pod.Name, container),
		RawQuery: logQuery(opts).Encode(),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := r.Clone(r.Context())
		request.Method, request.URL, request.RequestURI, request.Body = http.MethodGet, target, "", io.NopCloser(http.NoBody)
		node.ServeHTTP(w, request)
	}), nil
}

// containerOf is the container that is meant: the only one where none is named.
func containerOf(pod *corev1.Pod, name string) (string, error) {
	var all []string
	for _, container := range pod.Spec.Containers {
		all = append(all, container.Name)
	}
	var others []string
	for _, container := range pod.Spec.InitContainers {
		others = append(others, container.Name)
	}
	for _, container := range pod.Spec.EphemeralContainers {
		others = append(others, container.Name)
	}
	if name == "" {
		if len(all) == 1 && len(others) == 0 {
			return all[0], nil
		}
		message := fmt.Sprintf("a container name must be specified for pod %s, choose one of: %v", pod.Name, all)
		if len(others) > 0 {
			message += fmt.Sprintf(" or one of the init containers: %v", others)
		}
		return "", apierrors.NewBadRequest(message)
	}
	for _, one := range append(all, others...) {
		if one == name {
			return name, nil
		}
	}
	return "", apierrors.NewBadRequest(fmt.Sprintf("container %s is not valid for pod %s", name, pod.Name))
}

// logQuery is PodLogOptions as the agent understands them.
func logQuery(opts *corev1.PodLogOptions) url.Values {
	query := url.Values{}
	for name, on := range map[string]bool{"follow": opts.Follow, "previous": opts.Previous, "timestamps": opts.Timestamps} {
		if on {
			query.Set(name, "true")
		}
	}
	for name, value := range map[string]*int64{"sinceSeconds": opts.SinceSeconds, "tailLines": opts.TailLines, "limitBytes": opts.LimitBytes} {
		if value != nil {
			query.Set(name, strconv.FormatInt(*value, 10))
		}
	}
	if opts.SinceTime != nil {
		query.Set("sinceTime", opts.SinceTime.Format(time.RFC3339Nano))
	}
	if opts.Stream != nil {
		query.Set("stream", *opts.Stream)
	}
	return query
}
