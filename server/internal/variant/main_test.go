package variant

import (
	"testing"

	"github.com/zerobus-go/zerobus/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
