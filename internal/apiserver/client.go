package apiserver

import (
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"coxswain.dev/cox/internal/apiserver/inprocess"
)

// contextName is the name of cluster, user and context in kubeconfigs.
const contextName = "coxswain"

// ClientConfig returns a configuration whose requests go straight to the
// server's handler as the user given: no TCP, no TLS, no rate limit, protobuf.
// It can be made at any time; requests fail until Run is under way.
func (s *Server) ClientConfig(userName string, groups ...string) *rest.Config {
	return inProcessConfig(s.inProcess, userName, groups...)
}

func inProcessConfig(handler *inprocess.Handler, userName string, groups ...string) *rest.Config {
	return &rest.Config{
		Host:      "http://in-process",
		UserAgent: rest.DefaultKubernetesUserAgent(),
		Transport: &inprocess.Transport{Handler: handler, Caller: &user.DefaultInfo{Name: userName, Groups: groups}},
		QPS:       -1,
		// Warnings are for people at a terminal.
		WarningHandlerWithContext: rest.NoWarnings{},
		ContentConfig: rest.ContentConfig{
			ContentType:        runtime.ContentTypeProtobuf,
			AcceptContentTypes: runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON,
		},
	}
}

// loopback is the configuration of the server's own client.
func (s *Server) loopback() *rest.Config {
	return inProcessConfig(s.inProcess, user.APIServerUser, user.SystemPrivilegedGroup)
}

// CA is the certificate that the server is trusted by, PEM.
func (s *Server) CA() []byte { return s.authority.Certificate() }

// AdminKubeconfig returns a kubeconfig that may do everything, for the server
// at serverURL.
func (s *Server) AdminKubeconfig(serverURL string) ([]byte, error) {
	pair, err := s.authority.Client("admin", user.SystemPrivilegedGroup)
	if err != nil {
		return nil, fmt.Errorf("issuing the administrator's certificate: %w", err)
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[contextName] = &clientcmdapi.Cluster{Server: serverURL, CertificateAuthorityData: s.CA()}
	config.AuthInfos[contextName+"-admin"] = &clientcmdapi.AuthInfo{ClientCertificateData: pair.Certificate, ClientKeyData: pair.Key}
	config.Contexts[contextName] = &clientcmdapi.Context{Cluster: contextName, AuthInfo: contextName + "-admin"}
	config.CurrentContext = contextName
	return clientcmd.Write(*config)
}
