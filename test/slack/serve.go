package slack

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const mostBody = 8 << 20 // bytes of a call

func (d *Double) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/auth.test", d.method(func(*http.Request, map[string]string) (any, *Refusal) {
		return map[string]any{"url": "https://double.slack.com/", "team": "Double", "user": "hks", "team_id": "T0DOUBLE01", "user_id": "U0DOUBLE01", "bot_id": "B0DOUBLE02"}, nil
	}))
	mux.HandleFunc("POST /api/chat.postMessage", d.method(d.postMessage))
	mux.HandleFunc("POST /api/chat.update", d.method(d.update))
	mux.HandleFunc("POST /api/files.getUploadURLExternal", d.method(d.uploadURL))
	mux.HandleFunc("POST /api/files.completeUploadExternal", d.method(d.completeUpload))
	mux.HandleFunc("POST /api/", d.method(func(*http.Request, map[string]string) (any, *Refusal) { return nil, &Refusal{Word: "unknown_method"} }))
	mux.HandleFunc("POST /upload/v1/{id}", d.upload)
	mux.HandleFunc("POST /services/", d.webhook)
	mux.HandleFunc("POST /hooks/", d.hook)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		down, limited, after := d.faults.Down, d.faults.RateLimit > 0, d.faults.RetryAfter
		if limited && down == "" {
			d.faults.RateLimit--
		}
		if down != "" || limited {
			d.refused++
		}
		d.mu.Unlock()
		switch {
		case down == DownHang:
			wait(r.Context())
			panic(http.ErrAbortHandler)
		case down != "":
			http.Error(w, "<html>Slack is down</html>", http.StatusServiceUnavailable)
		case limited:
			tooMany(w, after)
		default:
			r.Body = http.MaxBytesReader(w, r.Body, mostBody)
			mux.ServeHTTP(w, r)
		}
	})
}

func tooMany(w http.ResponseWriter, after int) {
	if after > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(after))
	}
	reply(w, http.StatusTooManyRequests, map[string]any{"ok": false, "error": "ratelimited"})
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // whoever asked may be gone
}

// method makes a handler of the Web API: with the token checked and the
// arguments read, from a form or JSON. The function runs with mu held.
func (d *Double) method(run func(r *http.Request, args map[string]string) (any, *Refusal)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		args, err := arguments(r)
		if err != nil {
			reply(w, http.StatusOK, map[string]any{"ok": false, "error": "invalid_form_data"})
			return
		}
		token := args["token"]
		if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			token = bearer
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		var answer any
		refusal := &Refusal{}
		switch {
		case token == "":
			refusal.Word = "not_authed"
		case token != Token:
			refusal.Word = "invalid_auth"
		case d.faults.Error != "":
			refusal.Word = d.faults.Error
		default:
			answer, refusal = run(r, args)
		}
		if refusal != nil {
			d.refused++
			if refusal.Word == "ratelimited" {
				tooMany(w, 1)
				return
			}
			body := map[string]any{"ok": false, "error": refusal.Word}
			if refusal.Word == "missing_scope" {
				body["needed"], body["provided"] = "chat:write", "identify"
			}
			if len(refusal.Messages) > 0 {
				body["errors"] = refusal.Messages
				body["response_metadata"] = map[string]any{"messages": refusal.Messages}
			}
			reply(w, http.StatusOK, body)
			return
		}
		if _, message := answer.(*Message); message && d.faults.Lost > 0 {
			d.faults.Lost--
			panic(http.ErrAbortHandler)
		}
		reply(w, http.StatusOK, wire(answer))
	}
}

// wire is an answer as Slack gives it.
func wire(answer any) map[string]any {
	body := map[string]any{"ok": true}
	switch answer := answer.(type) {
	case map[string]any:
		for k, v := range answer {
			body[k] = v
		}
	case *Message:
		message := map[string]any{"type": "message", "user": "U0DOUBLE01", "bot_id": "B0DOUBLE02", "ts": answer.TS, "text": answer.Text}
		if answer.Thread != "" {
			message["thread_ts"] = answer.Thread
		}
		if answer.Blocks != nil {
			message["blocks"] = answer.Blocks
		}
		body["channel"], body["ts"], body["text"], body["message"] = answer.Channel, answer.TS, answer.Text, message
	}
	return body
}

func arguments(r *http.Request) (map[string]string, error) {
	args := map[string]string{}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		var body map[string]json.RawMessage
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			return nil, err
		}
		for k, raw := range body {
			var text string
			if json.Unmarshal(raw, &text) != nil {
				text = string(raw)
			}
			args[k] = text
		}
		return args, nil
	}
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	for k := range r.Form {
		args[k] = r.Form.Get(k)
	}
	return args, nil
}

// message checks what both ways of posting have in common; mu is held.
func (d *Double) message(text string, blocks json.RawMessage) *Refusal {
	if refusal := Check(text, blocks, d.usable); refusal != nil {
		return refusal
	}
	if len(blocks) > 2 && d.faults.InvalidBlocks > 0 {
		d.faults.InvalidBlocks--
		return &Refusal{Word: "invalid_blocks", Messages: []string{"[ERROR] as the test wants it [json-pointer:/blocks/0]"}}
	}
	return nil
}

// blocksOf are the blocks of a call; nil where there is no such argument.
func blocksOf(args map[string]string) json.RawMessage {
	if text, ok := args["blocks"]; ok {
		return json.RawMessage(text)
	}
	return nil
}

func (d *Double) postMessage(_ *http.Request, args map[string]string) (any, *Refusal) {
	m := Message{Channel: args["channel"], Text: args["text"], Blocks: blocksOf(args), Thread: args["thread_ts"], Broadcast: args["reply_broadcast"] == "true" || args["reply_broadcast"] == "1"}
	if m.Channel != Channel {
		return nil, &Refusal{Word: "channel_not_found"}
	}
	if d.faults.Pace && time.Since(d.last[Channel]) < time.Second {
		return nil, &Refusal{Word: "ratelimited"}
	}
	if refusal := d.message(m.Text, m.Blocks); refusal != nil {
		return nil, refusal
	}
	if m.Thread != "" && d.find(m.Channel, m.Thread) == nil {
		if !d.gone(m.Channel, m.Thread) {
			return nil, &Refusal{Word: "thread_not_found"}
		}
		m.Thread = "" // Slack posts it for itself then
	}
	if first := d.find(m.Channel, m.Thread); first != nil && first.Thread != "" {
		m.Thread = first.Thread // a reply to a reply is one to the first
	}
	return d.put(m), nil
}

// gone tells whether there was such a message; mu is held.
func (d *Double) gone(channel, ts string) bool {
	for _, m := range d.messages {
		if m.Channel == channel && m.TS == ts && m.Deleted {
			return true
		}
	}
	return false
}

func (d *Double) update(_ *http.Request, args map[string]string) (any, *Refusal) {
	if args["channel"] != Channel {
		return nil, &Refusal{Word: "channel_not_found"}
	}
	m := d.find(args["channel"], args["ts"])
	if m == nil {
		return nil, &Refusal{Word: "message_not_found"}
	}
	if m.Webhook {
		return nil, &Refusal{Word: "cant_update_message"}
	}
	blocks := blocksOf(args)
	if refusal := d.message(args["text"], blocks); refusal != nil {
		return nil, refusal
	}
	m.Edits = append(m.Edits, Edit{Text: m.Text, Blocks: m.Blocks, At: time.Now()})
	m.Text = args["text"]
	if blocks != nil {
		m.Blocks = blocks
	}
	m.about()
	return m, nil
}

func (d *Double) uploadURL(r *http.Request, args map[string]string) (any, *Refusal) {
	length, err := strconv.Atoi(args["length"])
	if err != nil || length < 1 || args["filename"] == "" {
		return nil, &Refusal{Word: "invalid_arguments"}
	}
	if len(args["alt_txt"]) > 1000 {
		return nil, &Refusal{Word: "alt_text_too_long"}
	}
	id := newFileID()
	d.files[id] = &file{length: length, name: args["filename"]}
	return map[string]any{"file_id": id, "upload_url": "http://" + r.Host + "/upload/v1/" + id}, nil
}

func (d *Double) upload(w http.ResponseWriter, r *http.Request) {
	data, err := uploaded(r)
	d.mu.Lock()
	defer d.mu.Unlock()
	f, ok := d.files[r.PathValue("id")]
	switch {
	case d.faults.Upload:
		d.refused++
		http.Error(w, "the disk is full", http.StatusInternalServerError)
	case !ok:
		http.Error(w, "no such upload", http.StatusNotFound)
	case err != nil || len(data) != f.length:
		http.Error(w, "the length is not as it was told", http.StatusBadRequest)
	default:
		f.data = data
		reply(w, http.StatusOK, map[string]any{"ok": true})
	}
}

func uploaded(r *http.Request) ([]byte, error) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		return io.ReadAll(r.Body)
	}
	form, err := r.MultipartReader()
	if err != nil {
		return nil, err
	}
	for {
		part, err := form.NextPart()
		if err != nil {
			return nil, err
		}
		if part.FormName() == "file" {
			return io.ReadAll(part)
		}
	}
}

func (d *Double) completeUpload(_ *http.Request, args map[string]string) (any, *Refusal) {
	var list []struct{ ID, Title string }
	if json.Unmarshal([]byte(args["files"]), &list) != nil || len(list) == 0 {
		return nil, &Refusal{Word: "invalid_arguments"}
	}
	var answer []map[string]any
	for _, f := range list {
		known, ok := d.files[f.ID]
		if !ok || known.data == nil {
			return nil, &Refusal{Word: "file_not_found"}
		}
		known.complete = time.Now()
		answer = append(answer, map[string]any{"id": f.ID, "title": f.Title})
	}
	return map[string]any{"files": answer}, nil
}

// codes are the HTTP statuses that a webhook gives its words with.
var codes = map[string]int{
	"no_text": 400, "invalid_payload": 400, "invalid_blocks": 400, "invalid_blocks_format": 400, "msg_too_long": 400, "msg_blocks_too_long": 400, "user_not_found": 400, "channel_not_found": 404, "invalid_token": 403,
	"action_prohibited": 403, "posting_to_general_channel_denied": 403, "no_service": 404, "no_service_id": 404, "no_team": 404, "team_disabled": 404, "channel_is_archived": 410, "rollup_error": 500, "internal_error": 500,
}

func (d *Double) webhook(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	d.mu.Lock()
	defer d.mu.Unlock()
	refuse := func(word string) {
		d.refused++
		code, ok := codes[word]
		if !ok {
			code = http.StatusBadRequest
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, word) // whoever asked may be gone
	}
	var body struct {
		Text   string          `json:"text"`
		Blocks json.RawMessage `json:"blocks"`
	}
	switch {
	case r.URL.Path != service:
		refuse("no_service")
		return
	case d.faults.Error != "":
		refuse(d.faults.Error)
		return
	case err != nil || json.Unmarshal(raw, &body) != nil:
		refuse("invalid_payload")
		return
	case d.faults.Pace && time.Since(d.last[Channel]) < time.Second:
		d.refused++
		tooMany(w, 1)
		return
	}
	if refusal := d.message(body.Text, body.Blocks); refusal != nil {
		refuse(refusal.Word)
		return
	}
	d.put(Message{Channel: Channel, Webhook: true, Text: body.Text, Blocks: body.Blocks})
	if d.faults.Lost > 0 {
		d.faults.Lost--
		panic(http.ErrAbortHandler)
	}
	_, _ = io.WriteString(w, "ok")
}

func (d *Double) hook(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil || d.faults.Error != "" {
		d.refused++
		http.Error(w, d.faults.Error, http.StatusForbidden)
		return
	}
	d.hooks = append(d.hooks, Hook{Path: strings.TrimPrefix(r.URL.Path, "/hooks/"), Header: r.Header, Body: string(raw), At: time.Now()})
	w.WriteHeader(http.StatusNoContent)
}

// controls is the API for tests in other processes.
func (d *Double) controls() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /messages", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, d.Messages()) })
	mux.HandleFunc("DELETE /messages", func(w http.ResponseWriter, _ *http.Request) { d.Forget(); w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /hooks", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, d.Hooks()) })
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, d.Faults()) })
	mux.HandleFunc("PUT /faults", func(w http.ResponseWriter, r *http.Request) {
		var f Faults
		in := json.NewDecoder(r.Body)
		in.DisallowUnknownFields()
		if err := in.Decode(&f); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if err := d.Set(f); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		reply(w, http.StatusOK, f)
	})
	mux.HandleFunc("GET /files/{id}", func(w http.ResponseWriter, r *http.Request) {
		data, ok := d.File(r.PathValue("id"))
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data) // whoever asked may be gone
	})
	return mux
}
