package api

import (
	"encoding/json"
	"fmt"

	"github.com/gin-gonic/gin"
)

// answer writes v as JSON.
func answer(c *gin.Context, status int, v any) error {
	body, err := encode(v)
	if err != nil {
		return err
	}
	c.Data(status, "application/json; charset=utf-8", body)
	return nil
}

// answerList writes a list, which is never null.
func answerList[T any](c *gin.Context, status int, list []T) error {
	if list == nil {
		list = []T{}
	}
	return answer(c, status, list)
}

// encode is the one way from a value to what leaves the appliance, in answers
// and in events: secret values are hidden here.
func encode(v any) ([]byte, error) {
	body, err := json.Marshal(hide(v))
	if err != nil {
		return nil, fmt.Errorf("encoding an answer: %w", err)
	}
	return body, nil
}
