/// What a node has asked the store for.
extension ClusterNode {
    /// A request that the store has not answered.
    enum Request: Sendable {
        case grantLease
        case keepAlive(LeaseID)
        case revoke
        case apply([Change])
        case read(StoreScope)
        case audit(ClaimPlace, taken: ClaimKey?)
        case homes([ProbeID])

        /// Whether it reads a name for a visitor.
        var isForVisitors: Bool {
            if case .read(.place) = self { true } else { false }
        }

        /// Whether a reply is one of this request.
        func fits(_ reply: StoreReply) -> Bool {
            switch (self, reply) {
            case (.grantLease, .lease), (.keepAlive, .isAlive), (.revoke, .revoked), (.read, .snapshot),
                (.audit, .snapshot), (.homes, .snapshot), (_, .failed):
                true
            case (.apply(let changes), .answers(let answers)):
                changes.count == answers.count && zip(changes, answers).allSatisfy { $0.fits($1) }
            default:
                false
            }
        }
    }

    /// A change on its way: of the server's own record, or of a claim.
    enum Change: Sendable {
        case record(LeaseID, ServerRecord)
        case claim(ClaimKey, LeaseID)
        case release(ClaimKey)

        /// Whether an answer is one to this change.
        func fits(_ answer: StoreAnswer) -> Bool {
            switch (self, answer) {
            case (.record, .granted), (.record, .leaseEnded), (.release, .released), (.claim, .granted),
                (.claim, .held),
                (.claim, .leaseEnded):
                true
            default:
                false
            }
        }
    }
}
