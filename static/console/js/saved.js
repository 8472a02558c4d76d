// What is saved as a view is the list as it is narrowed now, also when it was narrowed without loading the page anew.

document.addEventListener("submit", (event) => {
  if (event.target.id === "save-view-form") event.target.elements.query.value = location.search.slice(1);
});
