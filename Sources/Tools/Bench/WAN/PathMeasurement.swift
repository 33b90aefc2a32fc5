/// The findings of one trial.
struct PathMeasurement: Sendable {
    let measurement: Measurement
    /// The packets on the path.
    let packets: PathCounts
}
