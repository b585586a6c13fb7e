package slack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf16"
)

// Slack's limits, as its documentation gives them; the one for all blocks
// together is from what people met.
const (
	mostText       = 40_000
	mostBlocks     = 50
	mostAllBlocks  = 13_000 // of the blocks' JSON
	mostHeader     = 150
	mostSection    = 3000
	mostFields     = 10
	mostField      = 2000
	mostElements   = 10 // of a context
	mostActions    = 25
	mostButton     = 75
	mostID         = 255
	mostAlt        = 2000
	mostURL        = 3000
	mostValue      = 2000
	mostImageTitle = 2000
)

// Refusal is Slack's word for a message it does not take, with the places.
type Refusal struct {
	Word     string
	Messages []string
}

// Error tells both.
func (r *Refusal) Error() string { return r.Word + ": " + strings.Join(r.Messages, "; ") }

var fileID = regexp.MustCompile(`^F[A-Z0-9]{8,}$`)

// Check holds a message against Slack's limits; nil: Slack takes it. Usable
// tells whether an uploaded file may be shown.
func Check(text string, blocks json.RawMessage, usable func(id string) bool) *Refusal {
	blocks = bytes.TrimSpace(blocks)
	none := len(blocks) == 0 || string(blocks) == "null" || string(blocks) == "[]"
	if strings.TrimSpace(text) == "" && none {
		return &Refusal{Word: "no_text"}
	}
	if length(text) > mostText {
		return &Refusal{Word: "msg_too_long"}
	}
	if none {
		return nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(blocks, &list); err != nil {
		return &Refusal{Word: "invalid_blocks_format", Messages: []string{err.Error()}}
	}
	c := checker{usable: usable, ids: map[string]bool{}, actions: map[string]bool{}}
	if len(list) > mostBlocks {
		c.say("/blocks", "no more than %d items allowed", mostBlocks)
	}
	for n, block := range list {
		c.block(fmt.Sprintf("/blocks/%d", n), block)
	}
	if len(c.said) > 0 {
		return &Refusal{Word: "invalid_blocks", Messages: c.said}
	}
	// As it is on the wire, but for what encoders escape though they need not.
	var plain any
	var out bytes.Buffer
	encode := json.NewEncoder(&out)
	encode.SetEscapeHTML(false)
	if json.Unmarshal(blocks, &plain) != nil || encode.Encode(plain) != nil || length(out.String()) > mostAllBlocks {
		return &Refusal{Word: "msg_blocks_too_long"}
	}
	return nil
}

type checker struct {
	usable       func(id string) bool
	ids, actions map[string]bool
	said         []string
}

func (c *checker) say(at, format string, args ...any) {
	c.said = append(c.said, fmt.Sprintf("[ERROR] "+format+" [json-pointer:%s]", append(args, at)...))
}

type textObject struct {
	Type     string  `json:"type"`
	Text     *string `json:"text"`
	Emoji    *bool   `json:"emoji"`
	Verbatim *bool   `json:"verbatim"`
}

type element struct {
	Type     string      `json:"type"`
	Text     *textObject `json:"text"`
	ActionID string      `json:"action_id"`
	URL      *string     `json:"url"`
	Value    string      `json:"value"`
	Style    string      `json:"style"`
}

// decode reads an object that has no other keys than those Slack knows.
func (c *checker) decode(at string, raw json.RawMessage, into any) bool {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		c.say(at, "%s", err)
		return false
	}
	return true
}

func (c *checker) block(at string, raw json.RawMessage) {
	var kind struct {
		Type string `json:"type"`
		ID   string `json:"block_id"`
	}
	if err := json.Unmarshal(raw, &kind); err != nil {
		c.say(at, "must be an object")
		return
	}
	if length(kind.ID) > mostID {
		c.say(at+"/block_id", "must be less than %d characters", mostID+1)
	}
	if kind.ID != "" && c.ids[kind.ID] {
		c.say(at+"/block_id", "block_id must be unique")
	}
	c.ids[kind.ID] = true
	switch kind.Type {
	case "divider":
	case "header":
		var b struct {
			Type  string      `json:"type"`
			ID    string      `json:"block_id"`
			Text  *textObject `json:"text"`
			Level int         `json:"level"`
		}
		if c.decode(at, raw, &b) {
			c.text(at+"/text", b.Text, mostHeader, "plain_text")
		}
	case "section":
		c.section(at, raw)
	case "context":
		var b struct {
			Type     string            `json:"type"`
			ID       string            `json:"block_id"`
			Elements []json.RawMessage `json:"elements"`
		}
		if !c.decode(at, raw, &b) {
			return
		}
		if len(b.Elements) < 1 || len(b.Elements) > mostElements {
			c.say(at+"/elements", "must have 1 to %d items", mostElements)
		}
		for n, e := range b.Elements {
			var t textObject
			if here := fmt.Sprintf("%s/elements/%d", at, n); c.decode(here, e, &t) {
				c.text(here, &t, mostSection, "mrkdwn", "plain_text")
			}
		}
	case "actions":
		var b struct {
			Type     string    `json:"type"`
			ID       string    `json:"block_id"`
			Elements []element `json:"elements"`
		}
		if !c.decode(at, raw, &b) {
			return
		}
		if len(b.Elements) < 1 || len(b.Elements) > mostActions {
			c.say(at+"/elements", "must have 1 to %d items", mostActions)
		}
		for n, e := range b.Elements {
			c.button(fmt.Sprintf("%s/elements/%d", at, n), e)
		}
	case "image":
		c.image(at, raw)
	default:
		c.say(at+"/type", "unsupported type: %s", kind.Type)
	}
}

func (c *checker) section(at string, raw json.RawMessage) {
	var b struct {
		Type   string        `json:"type"`
		ID     string        `json:"block_id"`
		Text   *textObject   `json:"text"`
		Fields []*textObject `json:"fields"`
		Expand bool          `json:"expand"`
	}
	if !c.decode(at, raw, &b) {
		return
	}
	if b.Text == nil && b.Fields == nil {
		c.say(at, "one of text or fields is required")
	}
	if b.Text != nil {
		c.text(at+"/text", b.Text, mostSection, "mrkdwn", "plain_text")
	}
	if b.Fields != nil && (len(b.Fields) < 1 || len(b.Fields) > mostFields) {
		c.say(at+"/fields", "must have 1 to %d items", mostFields)
	}
	for n, f := range b.Fields {
		c.text(fmt.Sprintf("%s/fields/%d", at, n), f, mostField, "mrkdwn", "plain_text")
	}
}

func (c *checker) text(at string, t *textObject, most int, types ...string) {
	if t == nil || t.Text == nil {
		c.say(at, "missing required field: text")
		return
	}
	known := false
	for _, name := range types {
		known = known || t.Type == name
	}
	if !known {
		c.say(at+"/type", "must be one of %s", strings.Join(types, ", "))
	}
	if n := length(*t.Text); n < 1 {
		c.say(at+"/text", "must be more than 0 characters")
	} else if n > most {
		c.say(at+"/text", "must be less than %d characters", most+1)
	}
	if t.Type == "mrkdwn" && t.Emoji != nil {
		c.say(at+"/emoji", "not allowed with mrkdwn")
	}
	if t.Type == "plain_text" && t.Verbatim != nil {
		c.say(at+"/verbatim", "not allowed with plain_text")
	}
}

func (c *checker) button(at string, e element) {
	if e.Type != "button" {
		c.say(at+"/type", "unsupported type: %s", e.Type)
		return
	}
	c.text(at+"/text", e.Text, mostButton, "plain_text")
	if length(e.ActionID) > mostID {
		c.say(at+"/action_id", "must be less than %d characters", mostID+1)
	}
	if e.ActionID != "" && c.actions[e.ActionID] {
		c.say(at+"/action_id", "action_id must be unique")
	}
	c.actions[e.ActionID] = true
	if length(e.Value) > mostValue {
		c.say(at+"/value", "must be less than %d characters", mostValue+1)
	}
	if e.URL != nil {
		c.url(at+"/url", *e.URL)
	}
}

func (c *checker) url(at, text string) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		c.say(at, "must be a valid URL")
	}
	if length(text) > mostURL {
		c.say(at, "must be less than %d characters", mostURL+1)
	}
}

func (c *checker) image(at string, raw json.RawMessage) {
	var b struct {
		Type  string      `json:"type"`
		ID    string      `json:"block_id"`
		Title *textObject `json:"title"`
		Alt   *string     `json:"alt_text"`
		URL   *string     `json:"image_url"`
		File  *struct {
			ID  string `json:"id"`
			URL string `json:"url"`
		} `json:"slack_file"`
	}
	if !c.decode(at, raw, &b) {
		return
	}
	if b.Alt == nil || *b.Alt == "" {
		c.say(at, "missing required field: alt_text")
	} else if length(*b.Alt) > mostAlt {
		c.say(at+"/alt_text", "must be less than %d characters", mostAlt+1)
	}
	if b.Title != nil {
		c.text(at+"/title", b.Title, mostImageTitle, "plain_text")
	}
	switch {
	case (b.URL == nil) == (b.File == nil):
		c.say(at, "one of image_url or slack_file is required")
	case b.URL != nil:
		c.url(at+"/image_url", *b.URL)
	case !fileID.MatchString(b.File.ID):
		c.say(at+"/slack_file/id", "input must match regex pattern: %s", fileID)
	case c.usable == nil || !c.usable(b.File.ID):
		c.say(at+"/slack_file", "invalid slack file")
	}
}

// length counts as strictly as anybody might: in UTF-16 units.
func length(text string) int {
	n := 0
	for _, r := range text {
		n += utf16.RuneLen(r)
	}
	return n
}

// mention is what calls somebody, where it stands in markup.
var mention = regexp.MustCompile(`<(?:!(?:channel|here|everyone|subteam\^)[^>]*|[@#][A-Z0-9][^>]*)>`)

// Mentions lists what in a message would call people or name channels.
func Mentions(text string, blocks json.RawMessage) []string {
	found := mention.FindAllString(text, -1)
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			if body, ok := v["text"].(string); ok && v["type"] == "mrkdwn" {
				found = append(found, mention.FindAllString(body, -1)...)
				if v["verbatim"] != true {
					found = append(found, autoLink.FindAllString(body, -1)...)
				}
			}
			for _, e := range v {
				walk(e)
			}
		}
	}
	var all any
	if json.Unmarshal(blocks, &all) == nil {
		walk(all)
	}
	return found
}

// autoLink is what Slack makes a mention of by itself, unless markup is verbatim.
var autoLink = regexp.MustCompile(`@(?:channel|here|everyone)\b`)
