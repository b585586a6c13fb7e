package agent

import "time"

// Image is one image of the appliance's own registry.
type Image struct {
	Name      string    `json:"name"` // repository:tag
	Digest    string    `json:"digest"`
	SizeBytes int64     `json:"sizeBytes"` // compressed layers and config
	CreatedAt time.Time `json:"createdAt"`
}
