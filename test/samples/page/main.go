// Command page is the sample application of the tests: it serves one page,
// and misbehaves on request. Environment: PORT; VERSION and GREETING are
// shown; FAIL=exit ends it at once with code 7, FAIL=deaf never listens,
// FAIL=sick answers 500 on /healthz; BALLAST holds so many MiB of memory.
// `page reach HOST:PORT` exits 0 when a TCP connection to it can be made;
// `page cat` prints what it reads, `page env NAME` a variable, and
// `page exit CODE` ends with that code; `page keep FILE TEXT` writes a file,
// `page read FILE` prints one, `page fill FILE MIB` writes so many MiB.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "reach" {
		os.Exit(reach(os.Args[2]))
	}
	if len(os.Args) == 2 && os.Args[1] == "cat" {
		if _, err := io.Copy(os.Stdout, os.Stdin); err != nil {
			os.Exit(1)
		}
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "exit" {
		code, _ := strconv.Atoi(os.Args[2])
		fmt.Fprintln(os.Stderr, "page: leaving with", code)
		os.Exit(code)
	}
	if len(os.Args) == 3 && os.Args[1] == "env" {
		fmt.Println(os.Getenv(os.Args[2]))
		return
	}
	if len(os.Args) == 4 || (len(os.Args) == 3 && os.Args[1] == "read") {
		if err := file(os.Args[1], os.Args[2], os.Args[len(os.Args)-1]); err != nil {
			fmt.Fprintln(os.Stderr, "page:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "page:", err)
		os.Exit(1)
	}
}

// file writes or reads one.
func file(verb, name, what string) error {
	switch verb {
	case "read":
		data, err := os.ReadFile(name)
		fmt.Println(string(data))
		return err
	case "keep":
		f, err := os.Create(name)
		if err != nil {
			return err
		}
		_, err = f.WriteString(what)
		return errors.Join(err, f.Sync(), f.Close())
	case "fill":
		mib, err := strconv.Atoi(what)
		if err != nil {
			return err
		}
		f, err := os.Create(name)
		if err != nil {
			return err
		}
		chunk := make([]byte, 1<<20)
		for range mib {
			if _, err = f.Write(chunk); err != nil {
				break
			}
		}
		return errors.Join(err, f.Sync(), f.Close())
	}
	return fmt.Errorf("%s is no verb", verb)
}

func run() error {
	version, fail := os.Getenv("VERSION"), os.Getenv("FAIL")
	fmt.Println("page", version, "starting")
	if fail == "exit" {
		fmt.Println("page: the database is not there, giving up")
		os.Exit(7)
	}
	ballast := hold(os.Getenv("BALLAST"))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if fail == "deaf" {
		<-ctx.Done()
		return nil
	}
	host, _ := os.Hostname()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL.Path)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<!doctype html><title>page</title><h1>version %s</h1><p>%s from %s</p>\n", version, os.Getenv("GREETING"), host)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		if fail == "sick" {
			http.Error(w, "no database", http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("GET /spin", func(w http.ResponseWriter, r *http.Request) {
		for until := time.Now().Add(100 * time.Millisecond); time.Now().Before(until); {
		}
		fmt.Fprintln(w, len(ballast))
	})
	server := &http.Server{Addr: ":" + os.Getenv("PORT"), Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = server.Shutdown(drain)
	}()
	fmt.Println("page", version, "listening on", server.Addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-ctx.Done()
	return nil
}

// reach returns 0 when address takes a TCP connection within three seconds.
func reach(address string) int {
	conn, err := net.DialTimeout("tcp", address, 3*time.Second)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	_ = conn.Close()
	return 0
}

// hold returns so many MiB of memory that was really written to.
func hold(mebibytes string) []byte {
	n, _ := strconv.Atoi(mebibytes)
	data := make([]byte, n<<20)
	for i := 0; i < len(data); i += 4096 {
		data[i] = 1
	}
	return data
}
