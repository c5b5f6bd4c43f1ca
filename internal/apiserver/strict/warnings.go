package strict

import (
	"net/http"
	"reflect"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/warning"

	"coxswain.dev/cox/internal/apis/nearfields"
)

// WithWarnings completes the complaints that are recorded as warnings while
// handler runs. typeOf returns the type of a resource, or nil. It must run
// inside of the server's own recorder.
func WithWarnings(handler http.Handler, typeOf func(schema.GroupVersionResource) reflect.Type) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, ok := request.RequestInfoFrom(r.Context())
		if ok && info.IsResourceRequest && (info.Verb == "create" || info.Verb == "update" || info.Verb == "patch") {
			resource := schema.GroupVersionResource{Group: info.APIGroup, Version: info.APIVersion, Resource: info.Resource}
			if t := typeOf(resource); t != nil {
				ctx := r.Context()
				r = r.WithContext(warning.WithWarningRecorder(ctx, recorder{add: func(agent, text string) { warning.AddWarning(ctx, agent, text) }, owner: t}))
			}
		}
		handler.ServeHTTP(w, r)
	})
}

// recorder passes warnings on.
type recorder struct {
	add   func(agent, text string)
	owner reflect.Type
}

// AddWarning implements warning.Recorder.
func (r recorder) AddWarning(agent, text string) { r.add(agent, nearfields.Suggest(text, r.owner)) }
