package local

// Problem is why a folder could not be used as asked.
type Problem string

// The problems of folders.
const (
	NotANetwork Problem = "this folder is not empty, and no local testnet"
	Missing     Problem = "there is no local testnet in this folder"
	Running     Problem = "the network of this folder is running"
	Damaged     Problem = "the state file of this folder cannot be read"
	Different   Problem = "the network of this folder is another one"
)

func (p Problem) Error() string { return string(p) }
