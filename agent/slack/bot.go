package slack

import (
	"bytes"
	"cmp"
	"context"
	"strings"
	"time"

	api "github.com/slack-go/slack"

	"hks.dev/hks/agent"
)

// uploadTimeout is for all steps of an upload: the text does not wait longer.
const uploadTimeout = 15 * time.Second

// place is a message in Slack, as a ref says it.
type place struct {
	channel string
	time    string
	file    string // its picture's
}

// String writes the ref.
func (p place) String() string {
	text := p.channel + ":" + p.time
	if p.file != "" {
		text += ":" + p.file
	}
	return text
}

// placeOf reads a ref; ok is false where it is none of this channel.
func placeOf(ref, channel string) (p place, ok bool) {
	parts := strings.Split(ref, ":")
	if len(parts) < 2 || parts[0] != channel || parts[1] == "" {
		return place{}, false
	}
	p = place{channel: parts[0], time: parts[1]}
	if len(parts) > 2 {
		p.file = parts[2]
	}
	return p, true
}

// bot sends by the token of an app.
func (s *Sender) bot(ctx context.Context, c agent.Channel, m agent.Message) (string, error) {
	client := api.New(c.Token, api.OptionHTTPClient(s.http), api.OptionAPIURL(strings.TrimSuffix(cmp.Or(c.API, PublicURL), "/")+"/"))
	b := talk{Sender: s, client: client, channel: c}
	first, known := placeOf(m.Ref, c.Target)
	var at posted
	var err error
	switch m.Report.Kind {
	case agent.ReportExplained:
		if !known { // there is nothing to add to
			return m.Ref, nil
		}
		if at, err = b.amend(ctx, m, first, full, picture{file: first.file}); err != nil {
			return "", explain(err, c)
		}
	case agent.ReportResolved, agent.ReportReminder, agent.ReportWorse, agent.ReportReopened, agent.ReportFlapping:
		if known {
			at, err = b.follow(ctx, m, first)
			break
		}
		fallthrough
	default:
		at, err = b.open(ctx, m)
	}
	if err != nil {
		return "", explain(err, c)
	}
	return at.String(), nil
}

// talk is one message on its way to a channel.
type talk struct {
	*Sender
	client  *api.Client
	channel agent.Channel
}

// open posts a message of its own.
func (b talk) open(ctx context.Context, m agent.Message) (posted, error) {
	p := b.upload(ctx, m)
	l := full
	if m.Report.Kind == agent.ReportResolved {
		l = over
	}
	return b.deliver(ctx, m.Report, l, p, api.MsgOptionPost())
}

// follow tells the thread of an incident's first message what has become of
// it. Where that message is gone it is told in a message of its own. The
// place it returns is that of the first message.
func (b talk) follow(ctx context.Context, m agent.Message, first place) (posted, error) {
	var p picture
	if m.Report.Kind == agent.ReportResolved {
		// The first message first: it may be changed twice, the thread is told once.
		shows := picture{file: first.file}
		if fresh := b.upload(ctx, m); fresh.file != "" {
			shows = fresh
		}
		changed, err := b.amend(ctx, m, first, over, shows)
		if err != nil {
			return posted{}, err
		}
		first = changed.place
	} else {
		p = b.upload(ctx, m)
	}
	options := []api.MsgOption{api.MsgOptionPost(), api.MsgOptionTS(first.time)}
	if m.Report.Kind == agent.ReportWorse {
		options = append(options, api.MsgOptionBroadcast())
	}
	reply, err := b.deliver(ctx, m.Report, followUp, p, options...)
	switch said := word(err); {
	case said == "thread_not_found" || said == "message_not_found" || said == "invalid_thread_ts":
		l := full
		if m.Report.Kind == agent.ReportResolved {
			l = over
		}
		return b.deliver(ctx, m.Report, l, p, api.MsgOptionPost())
	case err != nil:
		return posted{}, err
	case reply.alone:
		return reply, nil
	}
	return posted{place: first}, nil
}

// amend changes an incident's first message. Where Slack does not let it be
// changed any more it stays as it is.
func (b talk) amend(ctx context.Context, m agent.Message, first place, l layout, shows picture) (posted, error) {
	updated, err := b.deliver(ctx, m.Report, l, shows, api.MsgOptionUpdate(first.time))
	switch said := word(err); {
	case err == nil:
		first.file = updated.file
	case said == "message_not_found" || said == "cant_update_message" || said == "edit_window_closed" || said == "is_inactive":
		b.log.InfoContext(ctx, "the first message of an incident can't be changed", "channel", b.channel.Name, "slack", said)
	default:
		return posted{}, err
	}
	return posted{place: first}, nil
}

// upload brings the picture to Slack. When that fails the report goes without.
func (b talk) upload(ctx context.Context, m agent.Message) picture {
	if len(m.Picture) == 0 {
		return picture{}
	}
	ctx, cancel := context.WithTimeout(ctx, uploadTimeout)
	defer cancel()
	title := "chart"
	if m.Report.Chart != nil {
		title = cmp.Or(cut(line(m.Report.Chart.Title), mostHeader), title)
	}
	file, err := b.client.UploadFileContext(ctx, api.UploadFileParameters{
		Reader: bytes.NewReader(m.Picture), FileSize: len(m.Picture), Filename: "chart.png", Title: title, AltTxt: cut(line(m.Report.Chart.Words()), mostAlt/2),
	})
	if err != nil {
		err = explain(err, b.channel)
		b.log.WarnContext(ctx, "a report's picture could not be uploaded", "channel", b.channel.Name, "error", err)
		return picture{lost: cut(err.Error(), titleLength)}
	}
	return picture{file: file.ID}
}
