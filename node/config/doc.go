// Package config gathers a node's settings from its TOML file, the environment
// and the command line, and remembers where each came from.
//
// It guarantees that the later source wins (defaults, file, environment,
// flags), that a setting nobody knows is an error naming it and the nearest
// known one, and that every error says which source to correct.
//
// It needs of the caller the file's path, the environment and the parsed flags;
// it reads no global state.
//
// It does not open what the settings name: paths, ports and keys are looked at
// by the node that uses them.
package config
