package manifest

import (
	"fmt"

	"go.yaml.in/yaml/v3"

	"hks.dev/hks/agent"
)

func (v *volumesBlock) read(r *reader, at place, n *yaml.Node) {
	v.place = at
	if n.Kind != yaml.SequenceNode {
		r.wrongType(at, n, "a list of volumes, each with name, path and size,")
		return
	}
	if len(n.Content) > maxVolumes {
		r.add(at, "put what belongs together on one volume", "%d volumes are too many, %d are allowed", len(n.Content), maxVolumes)
		return
	}
	names, paths := map[string]int{}, map[string]int{}
	for i, item := range n.Content {
		block := &volumeBlock{}
		block.read(r, placeOf(item, fmt.Sprintf("%s[%d]", at.path, i)), item)
		v.list = append(v.list, block)
		r.once(names, block.Name)
		r.once(paths, block.Path)
	}
}

// once tells of a text that stood further up already.
func (r *reader) once(lines map[string]int, t *text) {
	if !given(t) {
		return
	}
	if line, twice := lines[t.value]; twice {
		r.add(t.place, "give each volume its own", "%s was given in line %d already", shown(t.value), line)
		return
	}
	lines[t.value] = t.line
}

func (v *volumeBlock) read(r *reader, at place, n *yaml.Node) {
	v.place = at
	r.fields(at, n, v)
	if n.Kind != yaml.MappingNode {
		return
	}
	switch {
	case v.Name == nil:
		r.missing(at, "name")
	case v.Path == nil:
		r.missing(at, "path")
	case v.Size == nil:
		r.missing(at, "size")
	}
	if given(v.Name) && agent.ValidateName("volume", v.Name.value) != nil {
		r.add(v.Name.place, nameFix, "%q is not the name of a volume", shown(v.Name.value))
	}
	if given(v.Path) && agent.ValidateMountPath(v.Path.value) != nil {
		r.add(v.Path.place, "give an absolute path in the container, such as /data, outside of /proc, /sys and /dev", "%q can't be the folder of a volume", shown(v.Path.value))
	}
	r.quantity(v.Size, storage)
}

func (r *reader) missing(at place, key string) {
	r.add(at, "write it as {name: data, path: /data, size: 1Gi}", "the key %s is missing", key)
}

// volumes returns what passed every check.
func (v *volumesBlock) volumes() []agent.ComponentVolume {
	if v == nil {
		return nil
	}
	var list []agent.ComponentVolume
	for _, b := range v.list {
		list = append(list, agent.ComponentVolume{Name: valueOf(b.Name), Path: valueOf(b.Path), Size: b.Size.text()})
	}
	return list
}

// checkVolumes tells of instances that would write to one volume at a time.
func (c *componentBlock) checkVolumes(r *reader) {
	if c.Volumes != nil && len(c.Volumes.list) > 0 && c.Replicas != nil && c.Replicas.scale().Max > 1 {
		r.add(c.Replicas.place, "take replicas out; or keep the data in a service: hks market list", "a component with a volume has one instance, as two would write to it at a time")
	}
}
