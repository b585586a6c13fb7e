package cli

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"hks.dev/hks/agent"
	"hks.dev/hks/agent/client"
	"hks.dev/hks/agent/manifest"
)

// How long a version is followed, and how often it is looked at.
const (
	functionTimeout = 12 * time.Minute
	functionPoll    = 300 * time.Millisecond
)

// firstFunctions are what init writes.
var firstFunctions = map[string]map[string]string{
	"nodejs": {"index.js": "exports.hello = (request, response) => {\n  response.send(`Hello, ${request.query.name || 'world'}!`);\n};\n"},
	"python": {"main.py": "def hello(request):\n    return f\"Hello, {request.args.get('name', 'world')}!\"\n"},
	"go": {
		"go.mod": "module example.com/hello\n\ngo 1.26\n",
		"hello.go": `package hello

import (
	"fmt"
	"net/http"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"
)

func init() { functions.HTTP("hello", hello) }

func hello(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	if name == "" {
		name = "world"
	}
	fmt.Fprintf(w, "Hello, %s!", name)
}
`,
	},
}

func newFunctionInitCommand(s *session) *cobra.Command {
	var runtime, folder, sample string
	cmd := &cobra.Command{
		Use: "init NAME", Short: "Write a first function into a folder", Args: takes("NAME"),
		Example: "  hks function init hello --runtime nodejs\n  hks function init daily-summary-email --sample daily-summary-email",
		RunE: func(_ *cobra.Command, args []string) error {
			if err := agent.ValidateName("function", args[0]); err != nil {
				return asUsage(err)
			}
			files, err := beginning(args[0], runtime, sample)
			if err != nil {
				return err
			}
			if folder == "" {
				folder = args[0]
			}
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return fmt.Errorf("making the folder: %w", err)
			}
			for name, content := range files {
				if err := writeNew(filepath.Join(folder, name), content); err != nil {
					return err
				}
			}
			_, err = fmt.Fprintf(s.screen.out, "wrote %s; deploy it with: hks function deploy %s\n", folder, folder)
			return err
		},
	}
	cmd.Flags().StringVar(&runtime, "runtime", "nodejs", "nodejs, python or go")
	cmd.Flags().StringVar(&folder, "folder", "", "where to write (default: the name)")
	cmd.Flags().StringVar(&sample, "sample", "", "begin with a whole one: "+strings.Join(sampleNames(), ", "))
	cmd.MarkFlagsMutuallyExclusive("runtime", "sample")
	choices(cmd, "runtime", slices.Sorted(maps.Keys(firstFunctions)))
	choices(cmd, "sample", sampleNames())
	return cmd
}

// choices completes a flag from a list.
func choices(cmd *cobra.Command, flag string, list []string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is not there
	}
}

//go:embed samples
var samples embed.FS

// sampleNames are the functions that init writes whole.
func sampleNames() []string {
	entries, err := samples.ReadDir("samples")
	if err != nil {
		panic(err) // it is in the program
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// beginning are the files of a new function.
func beginning(name, runtime, sample string) (map[string]string, error) {
	files := map[string]string{}
	if sample == "" {
		first, ok := firstFunctions[runtime]
		if !ok {
			return nil, usagef("choose nodejs, python or go", "the runtime %q is not known", runtime)
		}
		maps.Copy(files, first)
		files[manifest.FunctionFile] = "name: " + name + "\nruntime: " + runtime + "\nentry: hello\n"
		return files, nil
	}
	if !slices.Contains(sampleNames(), sample) {
		return nil, usagef("choose "+strings.Join(sampleNames(), ", "), "there is no sample %q", sample)
	}
	entries, err := samples.ReadDir("samples/" + sample)
	for _, entry := range entries {
		text, failed := samples.ReadFile("samples/" + sample + "/" + entry.Name())
		err = errors.Join(err, failed)
		files[entry.Name()] = string(text)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the sample: %w", err)
	}
	files[manifest.FunctionFile] = strings.Replace(files[manifest.FunctionFile], "name: "+sample+"\n", "name: "+name+"\n", 1)
	return files, nil
}

// writeNew writes a file that is not there yet.
func writeNew(name, text string) error {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return usagef("choose another folder", "%s is there already", name)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

func newFunctionDeployCommand(s *session) *cobra.Command {
	var noWait bool
	cmd := &cobra.Command{
		Use:   "deploy [FOLDER]",
		Short: "Deploy the function in a folder as a new version",
		Long: `Deploy a function: its dependencies are resolved on the appliance, the new version is loaded in
an instance, and only when that works it serves. Otherwise what served before serves on.`,
		Example: "  hks function deploy\n  hks function deploy ./hello",
		Args:    takes("[FOLDER]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			folder := "."
			if len(args) > 0 {
				folder = args[0]
			}
			d, err := readFunction(folder)
			if err != nil {
				return err
			}
			return s.call(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				v, err := c.DeployFunction(ctx, d)
				if err != nil {
					return err
				}
				if !noWait {
					if v, err = followVersion(ctx, c, v); err != nil {
						return err
					}
				}
				if s.json {
					return s.screen.printJSON(v)
				}
				f, err := c.Function(ctx, v.Function)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(s.screen.out, "%s version %d is %s\n%s\n", v.Function, v.Number, v.Status, f.URL)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "do not wait until it serves")
	return cmd
}

// followVersion waits until a version serves or has failed.
func followVersion(ctx context.Context, c *client.Client, v agent.FunctionVersion) (agent.FunctionVersion, error) {
	ctx, cancel := context.WithTimeout(ctx, functionTimeout)
	defer cancel()
	poll := time.NewTicker(functionPoll)
	defer poll.Stop()
	for !v.Status.Done() {
		select {
		case <-ctx.Done():
			return v, agent.Errorf(agent.CodeClusterAway, "see how far it is: hks function versions "+v.Function, "version %d is still %s; it goes on by itself", v.Number, v.Status)
		case <-poll.C:
		}
		versions, err := c.FunctionVersions(ctx, v.Function)
		if err != nil {
			return v, err
		}
		for _, found := range versions {
			if found.Number == v.Number {
				v = found
			}
		}
	}
	if v.Failure != nil {
		return v, &agent.Error{
			Code: v.Failure.Code, Message: fmt.Sprintf("version %d of %s failed: %s", v.Number, v.Function, strings.Join(append([]string{v.Failure.Message}, v.Failure.Logs...), "\n")),
			Fix: v.Failure.Fix,
		}
	}
	return v, nil
}

// readFunction reads a function's folder.
func readFunction(folder string) (d agent.FunctionDeploy, err error) {
	data, err := os.ReadFile(filepath.Join(folder, manifest.FunctionFile))
	if err != nil {
		return d, usagef("write one with: hks function init NAME", "the folder has no %s: %w", manifest.FunctionFile, err)
	}
	if d.Spec, err = manifest.ReadFunction(data); err != nil {
		return d, asUsage(err)
	}
	d.Files = map[string][]byte{}
	size := 0
	root := os.DirFS(folder)
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git" || entry.Name() == "__pycache__" || entry.Name() == ".venv"):
			return fs.SkipDir
		case !entry.Type().IsRegular() || entry.Name() == manifest.FunctionFile || entry.Name() == ".env":
			return nil
		}
		content, err := fs.ReadFile(root, name)
		if size += len(content); size > agent.MaxFunctionSource {
			return agent.Errorf(agent.CodeTooLarge, "leave out what is not needed; dependencies are fetched at deploy", "the source has more than the %d bytes allowed", agent.MaxFunctionSource)
		}
		d.Files[name] = content
		return err
	})
	return d, err
}
