// Command resume sends the lines of a file to the table main.default.air_quality, each of them once, however often it is cut off
// and started again: the server keeps how far it is. Without an argument it sends a file of its own.
//
// To show that, it has two lives. The first one is cut off in the middle, as by a crash, and knows not what has arrived.
package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"path/filepath"

	"github.com/zerobus-go/zerobus"
	"github.com/zerobus-go/zerobus/examples/airquality"
)

//go:embed readings.jsonl
var readings []byte

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	env, err := airquality.FromEnv()
	if err != nil {
		return err
	}
	name, file := "readings.jsonl", readings
	if len(os.Args) > 1 {
		if name, err = filepath.Abs(os.Args[1]); err != nil {
			return err
		}
		if file, err = os.ReadFile(name); err != nil {
			return err
		}
	}
	// The producer's id names the source: this file, whatever its path's characters.
	id := fmt.Sprintf("resume:%x", name)
	if len(id) > 128 {
		return fmt.Errorf("the path %s is too long for the id of a producer", name)
	}

	if _, err := life(ctx, env, id, bytes.NewReader(file), 120); err != nil && !errors.Is(err, errCutOff) {
		return err
	}
	lines, err := life(ctx, env, id, bytes.NewReader(file), math.MaxInt)
	if err != nil {
		return err
	}
	fmt.Printf("%d lines are durable\n", lines)
	return nil
}

var errCutOff = errors.New("cut off")

// life sends the lines from where the life before it was, until the end of the file, or until it is cut off before a line. It
// returns how many lines are durable.
func life(ctx context.Context, env airquality.Env, id string, file io.Reader, cutOff int) (durable int64, err error) {
	sdk, err := zerobus.New(env.ServerEndpoint, env.WorkspaceURL)
	if err != nil {
		return 0, err
	}
	defer sdk.Close() // ends streams without a flush

	stream, position, err := sdk.Resume(ctx, id, zerobus.Table(env.Table), env.Credentials)
	if err != nil {
		return 0, err
	}
	fmt.Println(position)
	if !position.ExactlyOnce {
		fmt.Println("the server does not know producers: it will have some lines twice")
	}
	lines := bufio.NewScanner(file)
	for n := 0; lines.Scan(); n++ {
		if int64(n) < position.Records {
			continue // durable already
		}
		if n == cutOff {
			return 0, errCutOff
		}
		ack, err := stream.Ingest(ctx, zerobus.JSONBytes(lines.Bytes()))
		if err != nil {
			return 0, errors.Join(err, stream.Close(ctx))
		}
		if n == cutOff/2 { // so that something is durable when it comes
			if err := ack.Wait(ctx); err != nil {
				return 0, errors.Join(err, stream.Close(ctx))
			}
		}
	}
	if err := errors.Join(lines.Err(), stream.Close(ctx)); err != nil {
		return 0, err
	}
	return stream.Position().Records, nil
}
