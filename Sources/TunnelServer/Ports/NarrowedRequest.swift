import Mux

extension BindRequest {
    /// Whether the place is on some addresses of one machine, so that no other server of a cluster can have it.
    var isNarrowed: Bool {
        guard name == nil else { return false }
        return !["", "*", "0.0.0.0", "::"].contains(address)
    }
}
