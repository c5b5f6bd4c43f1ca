// Package ingress is the HTTP front: it serves the Ingresses of the class
// "coxswain" on this machine's ports 80 and 443.
//
// In go Ingresses, Services, EndpointSlices and the Secrets with certificates;
// out come answers to clients, the Ingresses' status, and events that say what
// is wrong with them. While there is no Ingress it listens on nothing and keeps
// nothing.
//
// The front knows each request that is under way to a Pod, and so does better
// than Service rules can: a Pod that stops is waited for until its requests are
// answered (Routed, Unrouted, Drained: agent.Router), connections that clients keep to the front are
// none of the Pod's, and a request that failed before any answer is sent to
// another Pod if it may be sent twice.
//
// The layers, from the top: front.go keeps everything equal to what the API
// says, doors.go listens, handler.go answers, transport.go sends a request to a
// Pod and tries again, pool.go knows the Pods, table.go the rules.
package ingress
