package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"coxswain.dev/cox/internal/diagnose"
)

// netOptions are the flags of cox net and cox net check.
type netOptions struct {
	connection *connection
	all        bool
	output     string
}

func (o *netOptions) add(command *cobra.Command) {
	o.connection = addConnection(command.Flags())
	command.Flags().BoolVarP(&o.all, "all-namespaces", "A", false, "look into every namespace")
	command.Flags().StringVarP(&o.output, "output", "o", "", "`json` instead of text")
}

// NetCommand is `cox net`: where Services lead, and why not.
func NetCommand() *cobra.Command {
	var options netOptions
	command := &cobra.Command{
		Use:   "net [SERVICE]",
		Short: "Show where Services lead, and find what is wrong with them",
		Long: `Show where Services lead: each port with its endpoints, the Pods behind them,
how many connections each has at the moment, whatever address the clients asked
for, and how it is: ready, routed (the proxy leads to it), draining (it gets no
new connections, and those it has are waited for), stopping (it was told to
stop), not ready.

cox net check says in words what keeps a Service from answering.`,
		Example: `  cox net
  cox net http-go
  cox net check -A`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			return options.run(command, args, func(to io.Writer, services []netService, asJSON bool) error {
				if err := options.countConnections(command, services); err != nil {
					return err
				}
				return printWays(to, services, asJSON)
			})
		},
	}
	options.add(command)
	command.AddCommand(netCheckCommand())
	return command
}

func netCheckCommand() *cobra.Command {
	var options netOptions
	command := &cobra.Command{
		Use:   "check [SERVICE]",
		Short: "Say what keeps Services from answering",
		Long: `Say what keeps Services from answering, and what to do: selectors that fit no
Pod, target ports that no container declares, Pods that are not ready,
NetworkPolicies that let nobody in, names that do not resolve, load balancers
without an address, firewalls of the machine that drop packets of Pods. The exit
code is 2 if something is wrong.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, args []string) error {
			return options.check(command, args)
		},
	}
	options.add(command)
	return command
}

// run gathers Services and has them printed.
func (o *netOptions) run(command *cobra.Command, args []string, printThem func(io.Writer, []netService, bool) error) error {
	_, services, err := o.gather(command, args)
	if err != nil {
		return err
	}
	return printThem(command.OutOrStdout(), services, o.output == "json")
}

// check prints what is wrong with Services and with the machines under them.
func (o *netOptions) check(command *cobra.Command, args []string) error {
	s, services, err := o.gather(command, args)
	if err != nil {
		return err
	}
	asJSON := o.output == "json"
	to := command.OutOrStdout()
	if asJSON {
		to = command.ErrOrStderr() // what is printed as JSON are Services
	}
	closed, err := s.printNodes(command.Context(), to)
	if err != nil {
		return s.explain(err)
	}
	return printFindings(command.OutOrStdout(), services, closed, asJSON)
}

func (o *netOptions) gather(command *cobra.Command, args []string) (*session, []netService, error) {
	if o.output != "" && o.output != "json" {
		return nil, nil, fmt.Errorf("--output: %q is not known: json, or nothing for text", o.output)
	}
	s, err := o.connection.open(command.ErrOrStderr())
	if err != nil {
		return nil, nil, err
	}
	name := ""
	if len(args) > 0 {
		name = args[0]
	}
	services, err := s.netServices(command.Context(), o.all, name)
	if err != nil {
		return nil, nil, s.explain(err)
	}
	return s, services, nil
}

// printNodes prints what the other firewalls of machines do to Pods, and
// returns how much of it is wrong.
func (s *session) printNodes(ctx context.Context, to io.Writer) (wrong int, err error) {
	nodes, err := s.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, err
	}
	for i := range nodes.Items {
		findings, notes := diagnose.Node(&nodes.Items[i])
		for _, finding := range findings {
			fmt.Fprintf(to, "node/%s: %s\n    %s\n", nodes.Items[i].Name, finding.Problem, finding.Advice)
		}
		for _, note := range notes {
			fmt.Fprintf(to, "node/%s: %s\n", nodes.Items[i].Name, note)
		}
		wrong += len(findings)
	}
	return wrong, nil
}

// printWays prints a line for each port and endpoint.
func printWays(to io.Writer, services []netService, asJSON bool) error {
	if asJSON {
		return writeJSON(to, services)
	}
	if len(services) == 0 {
		_, err := fmt.Fprintln(to, "There is no Service.")
		return err
	}
	out := tabwriter.NewWriter(to, 0, 0, 3, ' ', 0)
	fmt.Fprintln(out, "NAMESPACE\tSERVICE\tTYPE\tADDRESS\tPORT\tENDPOINT\tPOD\tCONNECTIONS\tSTATE")
	for _, service := range services {
		for _, way := range service.Ways {
			fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", service.Namespace, service.Name, service.Type, service.Address,
				way.Port, way.Endpoint, way.Pod, way.connectionsText(), way.State)
		}
	}
	return out.Flush()
}

// printFindings prints what is wrong with Services, besides so much that is
// wrong elsewhere.
func printFindings(to io.Writer, services []netService, elsewhere int, asJSON bool) error {
	found := elsewhere
	for _, service := range services {
		found += len(service.Findings)
	}
	if asJSON {
		if err := writeJSON(to, services); err != nil {
			return err
		}
	} else {
		for _, service := range services {
			printService(to, service)
		}
		if found == 0 {
			fmt.Fprintf(to, "Nothing is wrong. Services looked at: %d\n", len(services))
		}
	}
	if found > 0 {
		return errExit(exitStopped)
	}
	return nil
}

func printService(to io.Writer, service netService) {
	for _, finding := range service.Findings {
		fmt.Fprintf(to, "service/%s -n %s: %s\n    %s\n", service.Name, service.Namespace, finding.Problem, finding.Advice)
	}
}

func writeJSON(to io.Writer, what any) error {
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(what)
}

// netService is a Service with where it leads.
type netService struct {
	Namespace string             `json:"namespace"`
	Name      string             `json:"name"`
	Type      string             `json:"type"`
	Address   string             `json:"address"`
	Ways      []netWay           `json:"ways"`
	Findings  []diagnose.Finding `json:"findings"`
}

// netWay is one port that leads to one endpoint, or to none.
type netWay struct {
	Port     string `json:"port"`
	Endpoint string `json:"endpoint"`
	Pod      string `json:"pod"`
	// Connections that are open to the endpoint; nil if that is not known.
	Connections *int   `json:"connections"`
	State       string `json:"state"`
	// node is where the endpoint is, if that is known.
	node string
}

// noEndpoint stands for where a port leads that leads nowhere.
const noEndpoint = "<none>"

// States of an endpoint on its way out.
const (
	stateDraining = "draining"
	stateStopping = "stopping"
)

// netServices are all Services of the namespaces meant, or one.
func (s *session) netServices(ctx context.Context, all bool, name string) ([]netService, error) {
	namespace := s.namespace
	if all {
		namespace = ""
	}
	around, err := s.lookAround(ctx, namespace)
	if err != nil {
		return nil, err
	}
	var found []netService
	for i := range around.services {
		if service := &around.services[i]; name == "" || service.Name == name {
			found = append(found, around.describe(service))
		}
	}
	if name != "" && len(found) == 0 {
		return nil, fmt.Errorf("services %q not found in the namespace %s%s", name, s.namespace, around.nearName(name))
	}
	return found, nil
}
