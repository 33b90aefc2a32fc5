/// What this end knows of a lane's path.
public struct PathFigures: Sendable, Hashable {
    /// Bytes per second that the path has delivered lately; 0 while nothing is known.
    public var rate: Double
    /// The bandwidth-delay product, bytes; 0 while nothing is known.
    public var product: Double
    /// Whether the lane carries interactive bytes besides bulk.
    public var isShared: Bool

    /// Creates figures. By default nothing is known of the path.
    public init(rate: Double = 0, product: Double = 0, isShared: Bool = true) {
        (self.rate, self.product, self.isShared) = (rate, product, isShared)
    }
}
