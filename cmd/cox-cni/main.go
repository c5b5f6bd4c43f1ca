// Cox-cni is the CNI plugin of the Pod network. The container runtime runs it;
// package cni says what it does.
package main

import "coxswain.dev/cox/internal/cni"

func main() { cni.Main() }
