package strict

import (
	"errors"
	"io"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"coxswain.dev/cox/internal/apis/nearfields"
)

// Serializer wraps the serializer of one API group.
type Serializer struct {
	runtime.NegotiatedSerializer
	infos []runtime.SerializerInfo
	// types are those of the group's served kinds. A patch that fails does
	// not say which kind it was for.
	types []reflect.Type
}

// NewSerializer wraps inner, whose group serves objects of these types.
func NewSerializer(inner runtime.NegotiatedSerializer, types []reflect.Type) *Serializer {
	s := &Serializer{NegotiatedSerializer: inner, types: types}
	for _, info := range inner.SupportedMediaTypes() {
		if info.StrictSerializer != nil {
			info.StrictSerializer = decoder{info.StrictSerializer, types}
		}
		s.infos = append(s.infos, info)
	}
	return s
}

// SupportedMediaTypes implements runtime.NegotiatedSerializer.
func (s *Serializer) SupportedMediaTypes() []runtime.SerializerInfo { return s.infos }

// EncoderForVersion implements runtime.NegotiatedSerializer.
func (s *Serializer) EncoderForVersion(inner runtime.Encoder, version runtime.GroupVersioner) runtime.Encoder {
	return encoder{s.NegotiatedSerializer.EncoderForVersion(inner, version), s.types}
}

// decoder completes the complaints of a strict decoder.
type decoder struct {
	runtime.Serializer
	types []reflect.Type
}

// Decode implements runtime.Decoder.
func (d decoder) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	obj, kind, err := d.Serializer.Decode(data, defaults, into)
	strict, ok := runtime.AsStrictDecodingError(err)
	if !ok && err != nil {
		return obj, kind, nameQuantity(err, data, d.types)
	}
	if !ok || obj == nil {
		return obj, kind, err
	}
	complaints := strict.Errors()
	completed := make([]error, len(complaints))
	for i, complaint := range complaints {
		completed[i] = errors.New(nearfields.Suggest(complaint.Error(), reflect.TypeOf(obj)))
	}
	return obj, kind, runtime.NewStrictDecodingError(completed)
}

// encoder completes the complaints in a Status that is about to be sent.
type encoder struct {
	runtime.Encoder
	types []reflect.Type
}

// Encode implements runtime.Encoder.
func (e encoder) Encode(obj runtime.Object, w io.Writer) error {
	if status, ok := obj.(*metav1.Status); ok && status.Status == metav1.StatusFailure {
		obj = e.complete(status)
	}
	return e.Encoder.Encode(obj, w)
}

func (e encoder) complete(status *metav1.Status) *metav1.Status {
	message := nearfields.Suggest(status.Message, e.types...)
	if message == status.Message {
		return status
	}
	completed := status.DeepCopy()
	completed.Message = message
	if completed.Details != nil {
		for i := range completed.Details.Causes {
			cause := &completed.Details.Causes[i]
			cause.Message = nearfields.Suggest(cause.Message, e.types...)
		}
	}
	return completed
}
