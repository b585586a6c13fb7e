// Command slackdouble is a double of Slack's servers for tries by hand.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"hks.dev/hks/test/slack"
)

func main() {
	address := flag.String("listen", "127.0.0.1:7070", "where Slack answers")
	control := flag.String("control", "127.0.0.1:7071", "where messages are read and faults are set")
	flag.Parse()
	d, err := slack.Listen(*address, *control)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer d.Close()
	fmt.Printf("slack-bot:     api %s token %s channel %s\nslack-webhook: %s\nwebhook:       %s\ncontrol:       %s/messages /hooks /faults /files/ID\n",
		d.API(), slack.Token, slack.Channel, d.Webhook(), d.HookURL("any"), d.Control())
	end := make(chan os.Signal, 1)
	signal.Notify(end, os.Interrupt, syscall.SIGTERM)
	<-end
}
