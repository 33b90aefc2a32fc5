import Cluster
import Mux

extension Refusal {
    /// The refusal of a claim, in words for the client's user.
    init(_ refusal: ClaimRefusal, place: String, now: Int64) {
        switch refusal {
        case .held(let other):
            let seconds = max(0, now - other.claim.since)
            self.init(.portInUse, "\(place) is held by \(other.claim.client) at another server since \(seconds) s")
        case .heldBySame(let other):
            let text = "\(place) is held by another running process of \(other.claim.client), at server"
            self.init(.portInUse, "\(text) \(other.claim.home)")
        case .storeUnreachable:
            self.init(.busy, "the cluster's store does not answer, so no place can be claimed now", retryAfter: 2)
        case .limit(let limit):
            self.init(.busy, "this server may have \(limit) places in its cluster", retryAfter: 30)
        }
    }
}
