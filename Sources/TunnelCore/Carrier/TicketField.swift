/// The field of the upgrade request in which a client shows its ticket, in base64.
package enum TicketField {
    /// The field's name.
    package static let name = "Culvert-Ticket"
}
