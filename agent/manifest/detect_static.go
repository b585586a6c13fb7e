package manifest

func detectStatic(f folder) (*Detection, error) {
	for _, output := range []struct{ index, folder string }{{"index.html", "."}, {"public/index.html", "public"}, {"site/index.html", "site"}} {
		if f.has(output.index) {
			d := &Detection{Template: TemplateStatic, Kind: KindFrontend, Port: assumedPort, Output: output.folder, weak: true}
			d.found("%s: files that are served as they are", output.index)
			return d, nil
		}
	}
	return nil, nil
}
