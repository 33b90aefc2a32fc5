/// The settings that all trials of a run share.
struct PathSettings: Sendable {
    /// The duration of the bulk transfer in seconds.
    var seconds = 12.0
    /// Whether the bulk transfer goes from the visitor to the service.
    var uploads = false
    /// Whether requests run alone and beside the bulk transfer.
    var hasRequests = true
    var requests = PacedRequests()
    var congestionControl = "cubic"
    /// The rate of each connection over the path in Mbit/s; nil without a throttle.
    var throttle: Double?
    var serverFlags: [String] = []
    /// The first round's seed of the lost packets.
    var seed: UInt64 = 1
}
