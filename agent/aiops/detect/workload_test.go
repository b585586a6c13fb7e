package detect

import "testing"

func TestWorkload(t *testing.T) {
	for pod, want := range map[string]string{
		"web-production-7c9d8f6b5-x2k4q":  "web-production",
		"web-production-7c9d8f6b56-x2k4q": "web-production",
		"web-staging-5b7bdbcdfc-bbbbb":    "web-staging", // no figure at all
		"db-0":                            "db",
		"web-production-worker-12":        "web-production-worker",
		"agent-x2k4q":                     "agent",
		"web-production":                  "web-production",
		"shop-admin":                      "shop-admin",
		"web":                             "web",
		"":                                "web",
		"report-28374650-q9z2d":           "report",
		"-":                               "-",
	} {
		if got := Workload("web", pod); got != want {
			t.Errorf("pod %q belongs to %q, want %q", pod, got, want)
		}
	}
}
