import Mux
import NIOCore
import WebSocket

/// A carrier on another event loop than its session's: frames cross in bundles, one for each iteration of a loop.
///
/// Each bundle costs a wake-up, so a session begins on its carrier's own loop. The bridge is for later carriers, since
/// neither they nor the session's sockets can move.
package final class CarrierBridge: CarrierLink {
    /// Bytes that may be on the bridge, not yet taken by the carrier: what the carrier itself lets pile up.
    package static let mostUnderWay = 262_144
    /// Bytes on their way to the session from which on the socket is not read: a loop that is behind must not make the
    /// peer's bytes pile up here.
    package static let mostOnTheWay = 1_048_576
    /// Bytes that have arrived are reported from this many on: each report wakes the carrier's loop.
    private static let reportedAtOnce = 65_536

    private let far: NIOLoopBound<FarEnd>
    private var receiver: (any CarrierReceiver)?
    private var bundle: [OutboundFrame] = []
    private var underWay = 0
    /// Bytes that have arrived and have not been reported.
    private var arrived = 0
    private var isLost = false
    package private(set) var lastBytes = CarrierTimes()

    /// Makes a bridge the receiver of `carrier`; on the carrier's event loop.
    ///
    /// - Returns: what gives the bridge, once, on `loop`.
    package static func build(
        _ carrier: Carrier,
        from home: any EventLoop,
        to loop: any EventLoop
    ) -> @Sendable () -> CarrierBridge {
        let end = FarEnd(carrier, loop: loop)
        carrier.admit(end)
        let far = NIOLoopBound(end, eventLoop: home)
        return { [near = end.near] in
            let bridge = CarrierBridge(far)
            near.value = bridge
            return bridge
        }
    }

    private init(_ far: NIOLoopBound<FarEnd>) {
        self.far = far
    }

    package var isWritable: Bool {
        !isLost && underWay < min(unsentLimit ?? .max, Self.mostUnderWay)
    }

    package var unsentLimit: Int? {
        didSet {
            guard unsentLimit != oldValue else { return }
            onFarSide { [unsentLimit] in $0.carrier.unsentLimit = unsentLimit }
        }
    }

    package private(set) var retransmitted: UInt32?

    package func admit(_ receiver: any CarrierReceiver) {
        self.receiver = receiver
    }

    package func send(_ frame: OutboundFrame) {
        bundle.append(frame)
        underWay += frame.length
    }

    package func open(_ opening: CarrierOpening) {
        flush()
        underWay += opening.frame.length
        onFarSide { $0.open(opening) }
    }

    package func flush() {
        guard !bundle.isEmpty, !isLost else { return }
        let frames = bundle
        bundle = []
        onFarSide { $0.send(frames) }
    }

    package func disown() {
        receiver = nil
    }

    package func close(_ code: CloseCode, reason: String) {
        flush()
        onFarSide { $0.carrier.close(code, reason: reason) }
    }

    package func abort(_ reason: String) {
        onFarSide { $0.carrier.abort(reason) }
    }

    private func onFarSide(_ act: @escaping @Sendable (FarEnd) -> Void) {
        far.eventLoop.execute { [far] in act(far.value) }
    }

    // MARK: From the far side

    fileprivate func took(_ bytes: Int, _ retransmitted: UInt32?) {
        let wasWritable = isWritable
        self.retransmitted = retransmitted
        underWay -= bytes
        lastBytes.went = .now
        if !wasWritable, isWritable { receiver?.carrierBecameWritable() }
    }

    fileprivate func brought(_ frames: [InboundFrame], _ bytes: Int) {
        lastBytes.came = .now
        for frame in frames { receiver?.carrier(received: frame) }
        receiver?.carrierReadCompleted()
        arrived += bytes
        guard arrived >= Self.reportedAtOnce else { return }
        onFarSide { [arrived] in $0.arrived(arrived) }
        arrived = 0
    }

    fileprivate func violated(_ error: MuxError) {
        receiver?.carrier(violatedBy: error)
    }

    fileprivate func lost(_ loss: CarrierLoss) {
        isLost = true
        let receiver = receiver
        self.receiver = nil
        receiver?.carrierLost(loss)
    }
}

/// The bridge's other end, on the carrier's event loop. Everything crosses in the order in which it came.
private final class FarEnd: CarrierReceiver {
    let carrier: Carrier
    private let loop: any EventLoop
    /// The bridge at the session, once the session has it, until the carrier ends.
    let near: NIOLoopBoundBox<CarrierBridge?>
    private var bundle: [InboundFrame] = []
    private var bundleBytes = 0
    /// Bytes that are on their way to the session, or whose arrival has not been reported.
    private var onTheWay = 0
    /// Bytes that the carrier was given and has not reported as taken.
    private var heldUp = 0
    /// Whether the session has answered the client's request. What comes before is not sealed, and may be the path's.
    private var isOpen = false

    init(_ carrier: Carrier, loop: any EventLoop) {
        self.carrier = carrier
        self.loop = loop
        near = .makeEmptyBox(valueType: CarrierBridge.self, eventLoop: loop)
    }

    func send(_ frames: [OutboundFrame]) {
        for frame in frames {
            carrier.send(frame)
            heldUp += frame.length
        }
        carrier.flush()
        carrierBecameWritable()
    }

    func open(_ opening: CarrierOpening) {
        isOpen = true
        carrier.open(opening)
        heldUp += opening.frame.length
        carrier.flush()
        carrierBecameWritable()
    }

    func carrierBecameWritable() {
        guard carrier.isWritable, heldUp > 0 else { return }
        let (taken, retransmitted) = (heldUp, carrier.retransmitted)
        heldUp = 0
        atSession { $0.took(taken, retransmitted) }
    }

    func carrier(received frame: InboundFrame) {
        guard isOpen else { return carrier.abort("a frame came before the answer to RESUME") }
        bundle.append(frame)
        bundleBytes += MuxLimits.headerLength + frame.payloadLength
    }

    func carrierReadCompleted() {
        guard !bundle.isEmpty else { return }
        let (frames, bytes) = (bundle, bundleBytes)
        (bundle, bundleBytes) = ([], 0)
        onTheWay += bytes
        if onTheWay >= CarrierBridge.mostOnTheWay { carrier.isRead = false }
        atSession { $0.brought(frames, bytes) }
    }

    /// The session has taken so many bytes.
    func arrived(_ bytes: Int) {
        onTheWay -= bytes
        if onTheWay < CarrierBridge.mostOnTheWay { carrier.isRead = true }
    }

    func carrier(violatedBy error: MuxError) {
        guard isOpen else { return }
        carrierReadCompleted()
        atSession { $0.violated(error) }
    }

    func carrierLost(_ loss: CarrierLoss) {
        carrierReadCompleted()
        // A breach before the answer costs the carrier alone.
        let loss = isOpen ? loss : CarrierLoss(description: loss.description, isClosedByPeer: loss.isClosedByPeer)
        loop.execute { [near] in
            near.value?.lost(loss)
            // The ends know each other: neither would ever go.
            near.value = nil
        }
    }

    private func atSession(_ act: @escaping @Sendable (CarrierBridge) -> Void) {
        loop.execute { [near] in
            if let bridge = near.value { act(bridge) }
        }
    }
}
