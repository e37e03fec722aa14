package socialoauth

// refusal is an error that the same request will meet again: its [outgrant.TokenError] is not Temporary.
type refusal struct{ error }

func (refusal) Permanent() bool { return true }
