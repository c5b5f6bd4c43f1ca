package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/ptr"
)

const (
	mirroringController = "endpointslicemirroring-controller.k8s.io"
	// maxMirrored is how many addresses of a subset are mirrored.
	maxMirrored = 1000
)

// mirroring makes EndpointSlices of the Endpoints that somebody keeps by hand
// for a Service without a selector: routing knows only slices
// (https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#endpointslice-mirroring).
type mirroring struct {
	*base
	*loop
	services, endpoints, slices cache.SharedIndexInformer
}

func newMirroring(b *base) (*loop, error) {
	c := &mirroring{
		base: b, loop: newLoop("endpointslice mirroring", 1, b.log),
		services: b.Core().V1().Services().Informer(), endpoints: b.Core().V1().Endpoints().Informer(),
		slices: b.Discovery().V1().EndpointSlices().Informer(),
	}
	c.loop.reconcile = c.reconcile
	if err := onAny(c.endpoints, func(e *corev1.Endpoints) { c.queue.Add(keyOf(e)) }); err != nil {
		return nil, err
	}
	if err := onAny(c.services, func(s *corev1.Service) { c.queue.Add(keyOf(s)) }); err != nil {
		return nil, err
	}
	err := onAny(c.slices, func(s *discoveryv1.EndpointSlice) {
		if name := s.Labels[discoveryv1.LabelServiceName]; isMirror(s) && name != "" {
			c.queue.Add(key{Namespace: s.Namespace, Name: name})
		}
	})
	if err != nil {
		return nil, err
	}
	return c.loop, watchOwn(c.own, c.slices)
}

func isMirror(slice *discoveryv1.EndpointSlice) bool {
	return slice.Labels[discoveryv1.LabelManagedBy] == mirroringController
}

func (c *mirroring) reconcile(ctx context.Context, k key) (time.Time, error) {
	wanted, err := c.wanted(k)
	if err != nil {
		return time.Time{}, err
	}
	existing, err := c.slices.GetIndexer().ByIndex(byService, k.String())
	if err != nil {
		return time.Time{}, err
	}
	for _, item := range existing {
		slice := item.(*discoveryv1.EndpointSlice)
		if !isMirror(slice) {
			continue
		}
		if err := c.bringTo(ctx, k, slice, wanted[slice.Name]); err != nil {
			return time.Time{}, err
		}
		delete(wanted, slice.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		made, err := c.client.DiscoveryV1().EndpointSlices(k.Namespace).Create(ctx, wanted[name], metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			continue // the informer is late
		}
		if err != nil {
			return time.Time{}, err
		}
		c.own.Wrote(k, c.slices.GetIndexer(), made)
	}
	return time.Time{}, nil
}

// wanted are the slices that mirror a Service's Endpoints, by name.
func (c *mirroring) wanted(k key) (map[string]*discoveryv1.EndpointSlice, error) {
	item, exists, err := c.endpoints.GetStore().GetByKey(k.String())
	if err != nil || !exists {
		return nil, err
	}
	endpoints := item.(*corev1.Endpoints)
	item, exists, err = c.services.GetStore().GetByKey(k.String())
	if err != nil || !exists || item.(*corev1.Service).Spec.Selector != nil || !mayMirror(endpoints) {
		return nil, err
	}
	return mirrorsOf(endpoints), nil
}

func mayMirror(endpoints *corev1.Endpoints) bool {
	skip, _ := strconv.ParseBool(endpoints.Labels[discoveryv1.LabelSkipMirror])
	_, leader := endpoints.Annotations[resourcelock.LeaderElectionRecordAnnotationKey]
	return !skip && !leader && endpoints.DeletionTimestamp == nil
}

// bringTo makes a slice what it should be; nil is not to be.
func (c *mirroring) bringTo(ctx context.Context, k key, slice, wanted *discoveryv1.EndpointSlice) error {
	if wanted == nil {
		err := c.client.DiscoveryV1().EndpointSlices(k.Namespace).Delete(ctx, slice.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &slice.UID}})
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return nil
		}
		return err
	}
	changed := slice.DeepCopy()
	changed.Labels, changed.Annotations = wanted.Labels, wanted.Annotations
	changed.Endpoints, changed.Ports = wanted.Endpoints, wanted.Ports
	if equality.Semantic.DeepEqual(slice, changed) {
		return nil
	}
	written, err := c.client.DiscoveryV1().EndpointSlices(k.Namespace).Update(ctx, changed, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	c.own.Wrote(k, c.slices.GetIndexer(), written)
	return nil
}

// mirrorsOf are the slices of Endpoints: one for each set of ports and family
// of addresses.
func mirrorsOf(endpoints *corev1.Endpoints) map[string]*discoveryv1.EndpointSlice {
	mirrors := map[string]*discoveryv1.EndpointSlice{}
	for _, subset := range endpoints.Subsets {
		ports := portsOfSubset(subset.Ports)
		left := maxMirrored
		for _, part := range []struct {
			addresses []corev1.EndpointAddress
			ready     bool
		}{{subset.Addresses, true}, {subset.NotReadyAddresses, false}} {
			for _, address := range part.addresses {
				family, ok := familyOf(address.IP)
				if !ok || left == 0 {
					continue
				}
				left--
				name := endpoints.Name + "-" + mirrorHash(family, ports)
				if mirrors[name] == nil {
					mirrors[name] = newMirror(endpoints, name, family, ports)
				}
				mirrors[name].Endpoints = append(mirrors[name].Endpoints, discoveryv1.Endpoint{
					Addresses: []string{address.IP}, NodeName: address.NodeName, TargetRef: address.TargetRef,
					Hostname: hostnameOf(address), Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(part.ready)},
				})
			}
		}
	}
	return mirrors
}

func hostnameOf(address corev1.EndpointAddress) *string {
	if address.Hostname == "" {
		return nil
	}
	return &address.Hostname
}

func familyOf(ip string) (discoveryv1.AddressType, bool) {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return "", false
	}
	if addr.Is4() {
		return discoveryv1.AddressTypeIPv4, true
	}
	return discoveryv1.AddressTypeIPv6, true
}

func portsOfSubset(ports []corev1.EndpointPort) []discoveryv1.EndpointPort {
	var all []discoveryv1.EndpointPort
	for _, port := range ports {
		all = append(all, discoveryv1.EndpointPort{Name: ptr.To(port.Name), Port: ptr.To(port.Port), Protocol: ptr.To(port.Protocol), AppProtocol: port.AppProtocol})
	}
	return all
}

// mirrorHash tells the slices of one Endpoints object apart.
func mirrorHash(family discoveryv1.AddressType, ports []discoveryv1.EndpointPort) string {
	content, err := json.Marshal(ports)
	if err != nil {
		panic(err) // they are plain values
	}
	hash := fnv.New32a()
	fmt.Fprintf(hash, "%s %s", family, content)
	return rand.SafeEncodeString(fmt.Sprint(hash.Sum32()))
}

func newMirror(endpoints *corev1.Endpoints, name string, family discoveryv1.AddressType, ports []discoveryv1.EndpointPort) *discoveryv1.EndpointSlice {
	labels := map[string]string{discoveryv1.LabelServiceName: endpoints.Name, discoveryv1.LabelManagedBy: mirroringController}
	for label, value := range endpoints.Labels {
		if _, ours := labels[label]; !ours {
			labels[label] = value
		}
	}
	var annotations map[string]string
	for annotation, value := range endpoints.Annotations {
		if annotation == corev1.EndpointsLastChangeTriggerTime || annotation == corev1.LastAppliedConfigAnnotation {
			continue
		}
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[annotation] = value
	}
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: endpoints.Namespace, Labels: labels, Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(endpoints, corev1.SchemeGroupVersion.WithKind("Endpoints"))},
		},
		AddressType: family, Ports: ports,
	}
}
