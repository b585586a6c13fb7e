package manifest

import (
	"fmt"
	"strings"

	"hks.dev/hks/agent"
)

// GoMainFile is where GoMain belongs in a function's folder.
const GoMainFile = "hks_function_main/main.go"

// goMain starts the framework with whatever the function's package registers.
const goMain = `package main

import (
	"log"
	"os"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"
	_ %q
)

func main() {
	if err := funcframework.Start(os.Getenv("PORT")); err != nil {
		log.Fatal(err)
	}
}
`

// GoMain is the main package of a function in Go, of the module that the go.mod
// names.
func GoMain(mod []byte) ([]byte, error) {
	for line := range strings.Lines(string(mod)) {
		if words := strings.Fields(line); len(words) == 2 && words[0] == "module" {
			return fmt.Appendf(nil, goMain, strings.Trim(words[1], `"`)), nil
		}
	}
	return nil, agent.Errorf(agent.CodeInvalid, "make one: go mod init example.com/hello", "a function in Go needs a go.mod that names its module")
}
