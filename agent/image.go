package agent

import "time"

// Image is one image of the appliance's own registry.
type Image struct {
	Name      string     `json:"name"` // repository:tag
	Digest    string     `json:"digest"`
	SizeBytes int64      `json:"sizeBytes"` // compressed layers and config
	CreatedAt time.Time  `json:"createdAt"` // as the image says; zero when it does not
	StoredAt  time.Time  `json:"storedAt"`  // when it was loaded or pushed under this name
	UsedBy    []ImageUse `json:"usedBy,omitempty"`
}

// ImageUse is one kept release that needs an image.
type ImageUse struct {
	App         string      `json:"app"`
	Environment Environment `json:"environment"`
	Release     int         `json:"release"`
	Image       string      `json:"-"` // what its pods pull, or what the owner wrote while that is not known
}

// ImageUsage is what the own registry takes on the disk.
type ImageUsage struct {
	UsedBytes   int64     `json:"usedBytes"`
	BudgetBytes int64     `json:"budgetBytes"`
	PrunedAt    time.Time `json:"prunedAt,omitzero"` // the last clean-up; zero: none yet
}

// ImagePrune is what a clean-up of the registry removed, or would remove.
type ImagePrune struct {
	DryRun      bool    `json:"dryRun"`
	Removed     []Image `json:"removed"`
	FreedBytes  int64   `json:"freedBytes"` // with what no name leads to any more
	BeforeBytes int64   `json:"beforeBytes"`
	AfterBytes  int64   `json:"afterBytes"`
	BudgetBytes int64   `json:"budgetBytes"`
}
