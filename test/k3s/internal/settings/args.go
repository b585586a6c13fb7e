package settings

import (
	"fmt"
	"strings"
)

// parseArgs reads --key value, --key=value and --flag.
func parseArgs(role Role, args []string) (map[string][]string, error) {
	values := map[string][]string{}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if !strings.HasPrefix(arg, "-") || arg == "-" || arg == "--" {
			return nil, fmt.Errorf("unexpected argument %q", arg)
		}
		name, value, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		name = long(name)
		if err := known(role, name); err != nil {
			return nil, err
		}
		switch {
		case hasValue:
		case keys[name].kind == flag:
			value = "true"
		case i+1 < len(args):
			i++
			value = args[i]
		default:
			return nil, fmt.Errorf("flag needs an argument: -%s", name)
		}
		values[name] = append(values[name], value)
	}
	return values, nil
}

func long(name string) string {
	switch name {
	case "c":
		return "config"
	case "d":
		return "data-dir"
	case "t":
		return "token"
	case "s":
		return "server"
	case "o":
		return "write-kubeconfig"
	}
	return name
}
