/// The numbers of packets of both directions.
struct PathCounts: Codable, Equatable, Sendable {
    let up: PacketShaper.Counts
    let down: PacketShaper.Counts
}
