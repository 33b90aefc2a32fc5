import Cluster

/// Turns the messages of a watch into events: each change once, in the order of revisions, and all changes of one revision
/// together.
///
/// A message may be a fragment: the events of its last revision may continue in the next one, so they wait for it. Events
/// of revisions that were reported already are copies.
struct EventOrder {
    /// The messages cannot be the history of a store.
    enum Flaw: Error {
        case eventWithoutRevision
        case tooManyChanges
    }

    private let entries: EtcdEntries
    private let probe: [UInt8]
    /// Everything up to this revision is reported.
    private(set) var reported: Revision
    /// The changes of the fragments so far, at one revision.
    private var waiting: (revision: Revision, changes: [StoreEntryChange])?

    /// - Parameters:
    ///   - start: the first revision of interest.
    ///   - probe: the key whose events show only that the watch lives.
    init(from start: Revision, probe: [UInt8], _ entries: EtcdEntries) {
        reported = Revision(max(start.number, 1) - 1)
        (self.probe, self.entries) = (probe, entries)
    }

    /// The events of the next message.
    mutating func receive(_ answer: WatchAnswer) throws(Flaw) -> [StoreEvent] {
        let events = answer.events ?? []
        guard !events.isEmpty || waiting != nil else { return progress(answer) }
        var result: [StoreEvent] = []
        for event in events {
            guard let number = event.keyValue?.modRevision?.value, number > 0 else { throw .eventWithoutRevision }
            let revision = Revision(number)
            guard revision > reported else { continue }
            if let last = waiting, last.revision != revision {
                guard revision > last.revision else { continue }
                finish(&result)
            }
            waiting = waiting ?? (revision, [])
            guard event.keyValue?.key?.value != probe, let change = entries.change(event) else { continue }
            guard waiting?.changes.count ?? 0 < EtcdLimits.changes else { throw .tooManyChanges }
            waiting?.changes.append(change)
        }
        if answer.fragment != true { finish(&result) }
        return result
    }

    /// A message without events says that the watch has nothing up to its revision. That of the creation says nothing: older
    /// events may follow it.
    private mutating func progress(_ answer: WatchAnswer) -> [StoreEvent] {
        guard answer.created != true, answer.fragment != true, let number = answer.header?.revision?.value,
            number > reported.number
        else { return [] }
        reported = Revision(number)
        return [.progress(reported)]
    }

    private mutating func finish(_ result: inout [StoreEvent]) {
        guard let (revision, changes) = waiting else { return }
        waiting = nil
        reported = revision
        result.append(changes.isEmpty ? .progress(revision) : .changed(changes, at: revision))
    }
}
