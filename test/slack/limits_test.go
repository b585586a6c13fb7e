package slack

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestCheckRefusesWhatSlackRefuses(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	section := func(text string) string {
		return fmt.Sprintf(`{"type":"section","text":{"type":"mrkdwn","text":%q}}`, text)
	}
	header := func(text string) string {
		return fmt.Sprintf(`{"type":"header","text":{"type":"plain_text","text":%q}}`, text)
	}
	fields := func(n, length int) string {
		f := fmt.Sprintf(`{"type":"mrkdwn","text":%q}`, x(length))
		return `{"type":"section","fields":[` + strings.TrimSuffix(strings.Repeat(f+",", n), ",") + `]}`
	}
	button := func(text, url string) string {
		return fmt.Sprintf(`{"type":"actions","elements":[{"type":"button","text":{"type":"plain_text","text":%q},"url":%q}]}`, text, url)
	}
	image := func(alt, id string) string {
		return fmt.Sprintf(`{"type":"image","alt_text":%q,"slack_file":{"id":%q}}`, alt, id)
	}
	tests := []struct {
		name, text, blocks string
		word               string // empty: Slack takes it
	}{
		{"text", "hi", "", ""},
		{"nothing", " ", "", "no_text"},
		{"no blocks", "", "[]", "no_text"},
		{"long text", x(40_000), "", ""},
		{"too long a text", x(40_001), "", "msg_too_long"},
		{"no JSON", "hi", "[{", "invalid_blocks_format"},
		{"no list", "hi", "{}", "invalid_blocks_format"},
		{"section", "", section(x(3000)), ""},
		{"too long a section", "", section(x(3001)), "invalid_blocks"},
		{"empty section", "", section(""), "invalid_blocks"},
		{"section of nothing", "", `{"type":"section"}`, "invalid_blocks"},
		{"units", "", section(strings.Repeat("👍", 1501)), "invalid_blocks"},
		{"header", "", header(x(150)), ""},
		{"too long a header", "", header(x(151)), "invalid_blocks"},
		{"header in markup", "", `{"type":"header","text":{"type":"mrkdwn","text":"x"}}`, "invalid_blocks"},
		{"fields", "", fields(5, 2000), ""},
		{"too many fields", "", fields(11, 5), "invalid_blocks"},
		{"no fields", "", fields(0, 5), "invalid_blocks"},
		{"too long a field", "", fields(1, 2001), "invalid_blocks"},
		{"button", "", button("Open", "https://example.com"), ""},
		{"too long a button", "", button(x(76), "https://example.com"), "invalid_blocks"},
		{"button to nowhere", "", button("Open", "javascript:alert(1)"), "invalid_blocks"},
		{"too long an address", "", button("Open", "https://example.com/"+x(3000)), "invalid_blocks"},
		{"image", "", image("a", "F0123456789"), ""},
		{"image without a word", "", image("", "F0123456789"), "invalid_blocks"},
		{"image that nobody uploaded", "", image("a", "F9999999999"), "invalid_blocks"},
		{"image of no id", "", image("a", "x"), "invalid_blocks"},
		{"context of nothing", "", `{"type":"context","elements":[]}`, "invalid_blocks"},
		{"unknown kind", "", `{"type":"marquee"}`, "invalid_blocks"},
		{"unknown key", "", `{"type":"header","colour":"red","text":{"type":"plain_text","text":"x"}}`, "invalid_blocks"},
		{"emoji in markup", "", `{"type":"section","text":{"type":"mrkdwn","text":"x","emoji":true}}`, "invalid_blocks"},
		{"same id twice", "", `{"type":"divider","block_id":"a"},{"type":"divider","block_id":"a"}`, "invalid_blocks"},
		{"50 blocks", "", strings.TrimSuffix(strings.Repeat(section("x")+",", 50), ","), ""},
		{"51 blocks", "", strings.TrimSuffix(strings.Repeat(section("x")+",", 51), ","), "invalid_blocks"},
		{"too much of all", "", strings.TrimSuffix(strings.Repeat(section(x(2900))+",", 5), ","), "msg_blocks_too_long"},
	}
	for _, test := range tests {
		blocks := test.blocks
		if strings.Contains(blocks, `"type"`) {
			blocks = "[" + blocks + "]"
		}
		refusal := Check(test.text, json.RawMessage(blocks), func(id string) bool { return id == "F0123456789" })
		if word := ""; refusal != nil && refusal.Word != test.word || refusal == nil && test.word != word {
			t.Errorf("%s: %v, not %q", test.name, refusal, test.word)
		}
	}
}

func TestMentionsAreFound(t *testing.T) {
	block := func(kind, text string, verbatim bool) string {
		data, _ := json.Marshal([]any{map[string]any{"type": "section", "text": map[string]any{"type": kind, "text": text, "verbatim": verbatim}}}) // of texts only
		return string(data)
	}
	tests := []struct {
		name, text, blocks string
		want               int
	}{
		{"in the text", "a <!channel> b <@U0123456789>", "", 2},
		{"in markup", "", block("mrkdwn", "<!here> <!subteam^S1|x> <#C0123456789>", true), 3},
		{"in plain text", "", block("plain_text", "<!here>", true), 0},
		{"escaped", "&lt;!channel&gt;", block("mrkdwn", "&lt;!here&gt; @channel", true), 0},
		{"made by Slack", "", block("mrkdwn", "@channel", false), 1},
		{"a date", "<!date^1^{date}|then>", "", 0},
	}
	for _, test := range tests {
		if got := Mentions(test.text, json.RawMessage(test.blocks)); len(got) != test.want {
			t.Errorf("%s: %q", test.name, got)
		}
	}
}
