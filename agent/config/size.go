package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Size is a number of bytes, written as 512Mi, 10Gi or plain.
type Size int64

var sizeGrammar = regexp.MustCompile(`^([0-9]{1,18})(Ki|Mi|Gi|Ti)?$`)

var sizeUnits = map[string]int64{"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}

// UnmarshalYAML reads a size.
func (s *Size) UnmarshalYAML(node *yaml.Node) error {
	parts := sizeGrammar.FindStringSubmatch(node.Value)
	if node.Kind != yaml.ScalarNode || parts == nil {
		return fmt.Errorf("line %d: %q is not a size; write it as 512Mi or 10Gi", node.Line, node.Value)
	}
	number, err := strconv.ParseInt(parts[1], 10, 64)
	unit := sizeUnits[parts[2]]
	if err != nil || number > math.MaxInt64/unit {
		return fmt.Errorf("line %d: %q is too large a size", node.Line, node.Value)
	}
	*s = Size(number * unit)
	return nil
}
